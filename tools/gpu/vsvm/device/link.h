/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The lock of the link. Every engine holds it for reading while it runs, except
 * in relax() and sleep(). Who holds it for writing knows that no engine works by
 * a pointer that it got before from dma() or peer().
 *
 * A relax() is one load unless somebody waits to write.
 */
#ifndef _VSVM_DEVICE_LINK_H_
#define _VSVM_DEVICE_LINK_H_

void link_enter(void);
void link_leave(void);
void link_relax(void);
void link_change_begin(void);
void link_change_end(void);

#endif /* _VSVM_DEVICE_LINK_H_ */
