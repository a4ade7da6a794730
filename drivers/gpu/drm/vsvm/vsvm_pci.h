/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * GPUs on PCI whose hardware is a process outside the virtual machine: see
 * hw/vsvm_hw_pci.h.
 */
#ifndef _VSVM_PCI_H_
#define _VSVM_PCI_H_

#include <linux/types.h>

#include "hw/vsvm_hw_pci.h"

struct device;
struct pci_dev;
struct vsvm_transport;
struct vsvm_transport_config;

/**
 * struct vsvm_pci - the BARs of such a function, mapped while it is bound
 * @pdev: the function
 * @bar: BAR 2, memory that the device writes at any time to any value
 * @regs: BAR 0, with the doorbell
 */
struct vsvm_pci {
	struct pci_dev *pdev;
	struct vsvm_pci_bar *bar;
	void __iomem *regs;
};

#if IS_ENABLED(CONFIG_PCI)
int vsvm_pci_register(void);
void vsvm_pci_unregister(void);
bool vsvm_pci_any_bound(void);
const struct vsvm_pci *vsvm_pci_of(struct device *dev);
struct vsvm_transport *
vsvm_pci_hw_create(const struct vsvm_pci *pci,
		   const struct vsvm_transport_config *config,
		   void (*irq)(void *data, unsigned int vector),
		   void (*lost)(void *data), void *data);
#else
static inline int vsvm_pci_register(void)
{
	return 0;
}

static inline void vsvm_pci_unregister(void)
{
}

static inline bool vsvm_pci_any_bound(void)
{
	return false;
}

static inline const struct vsvm_pci *vsvm_pci_of(struct device *dev)
{
	return NULL;
}

static inline struct vsvm_transport *
vsvm_pci_hw_create(const struct vsvm_pci *pci,
		   const struct vsvm_transport_config *config,
		   void (*irq)(void *data, unsigned int vector),
		   void (*lost)(void *data), void *data)
{
	return NULL;
}
#endif

/* vsvm_pci_check.c */
struct vsvm_pci_hw;
int vsvm_pci_check_before(const struct vsvm_pci *pci, u64 vram_size);
int vsvm_pci_check_memory(struct vsvm_pci_hw *hw);

/* vsvm_pci_hw.c */
int vsvm_pci_hw_request(struct vsvm_pci_hw *hw, enum vsvm_pci_op op,
			const u64 *arg, unsigned int num);
const struct vsvm_pci *vsvm_pci_hw_function(const struct vsvm_pci_hw *hw);
void vsvm_pci_hw_keep(struct vsvm_pci_hw *hw, dma_addr_t addr, u64 len);

#endif /* _VSVM_PCI_H_ */
