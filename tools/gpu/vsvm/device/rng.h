/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Random numbers for those who want to do harm. One thread of a file may. */
#ifndef VSVM_DEVICE_RNG_H
#define VSVM_DEVICE_RNG_H

#include "vsvm_hw_port.h"

static u64 rng_state;

static inline void rng_seed(u64 seed)
{
	/* Not 0, and nothing like that of the next seed. */
	rng_state = seed * 0x9e3779b97f4a7c15ull | 1;
}

/* xorshift64* */
static inline u64 rng_draw(void)
{
	rng_state ^= rng_state >> 12;
	rng_state ^= rng_state << 25;
	rng_state ^= rng_state >> 27;
	return rng_state * 0x2545f4914f6cdd1dull;
}

static inline u64 rng_below(u64 bound)
{
	return (rng_draw() >> 16) % bound;
}

#endif /* VSVM_DEVICE_RNG_H */
