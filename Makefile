# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Everything here is done by the scripts in tools/testing/kernel; they install
# and build what they need. `make help` lists what there is.

SCRIPTS := tools/testing/kernel

# The kernel tree and the object directory may be given by the user.
export KSRC
# Where the virtual GPU's hardware is: local or pci.
export TRANSPORT
export SECONDS_OF_STRESS = $(or $(TIME),600)
KIND ?= debug
# MM=fixed: a kernel with the patches for mm
MM_KIND = $(if $(filter fixed,$(MM)),mm-)$(KIND)

.PHONY: help demo test kernel modules vm kunit selftest hwtest device pci stress fuzz
.PHONY: coverage consumers tools path bench defects mm-fixes test-long check docs apply clean

help:
	@echo 'make demo [INPUT=file]     run the demonstration in a virtual machine'
	@echo 'make test                  all tests, ends with "N passed, N failed"'
	@echo 'make kunit                 the KUnit tests'
	@echo 'make selftest              the user-space tests'
	@echo "make hwtest                the emulated hardware's tests, as a program with sanitizers"
	@echo "make device                the process's own tests, with sanitizers"
	@echo 'make pci                   the GPU as a PCI function: it dies, stops, is pulled out, the machine is reset'
	@echo 'make stress [TIME=seconds] random operations against a model, 10 minutes or TIME a test'
	@echo 'make fuzz [TIME=seconds]   every ioctl with random structures, 10 minutes or TIME'
	@echo 'make coverage              which lines and branches the tests run, pages in build/coverage/html'
	@echo "make consumers             the kernel's own users of the core compile and link against it"
	@echo 'make tools                 gputop, trace-cmd, modinfo and others of Debian on the GPU'
	@echo "make path                  instructions of a GPU fault, with ours and with the kernel's own"
	@echo 'make bench [ROUNDS=n]      copies, faults and overlap, with the hardware in the kernel and outside'
	@echo "make defects               the known defects of the kernel's own implementation: it, and this one"
	@echo "make mm-fixes              tests for what the patches for mm mend, without and with them"
	@echo 'make test-long [TIME=s]    what make test has no time for, or TIME seconds for each part'
	@echo 'make check                 static checks: style, warnings, sparse, kernel-doc, scripts'
	@echo 'make kernel [KIND=bench]   build a kernel, the modules and the user programs'
	@echo 'make modules [KIND=bench]  build the modules again, in seconds'
	@echo 'make vm [KIND=bench]       a shell in the virtual machine, modules loaded'
	@echo 'make docs                  the documentation of the interfaces, in build/docs'
	@echo 'make apply KSRC=dir        put the overlay and its hook lines into a kernel tree'
	@echo 'make clean                 remove build/ (the cache stays: ~/.cache/drm-pagemap)'
	@echo
	@echo 'KIND is debug (KASAN, lockdep, kmemleak, ...; the default), bench (fast), coverage (gcov) or kcsan.'
	@echo 'MM=fixed has the kernel with the patches in $(SCRIPTS)/mm: for kernel, modules and vm.'
	@echo 'KSRC=dir uses a kernel tree of yours, by a copy; with KBUILD_OUTPUT=dir,'
	@echo '"make modules" only builds, in that object directory.'
	@echo 'TRANSPORT=pci has the GPU on PCI, with its engines and VRAM in a process outside'
	@echo 'the virtual machine: for demo, selftest, vm, stress, fuzz and bench.'
	@echo 'ACCEL=kvm or ACCEL=tcg overrides how the virtual machine is run.'

demo:
	@$(SCRIPTS)/demo.sh '$(subst ','\'',$(INPUT))'

test:
	@$(SCRIPTS)/test.sh scripts hwtest device kunit selftest pci iommu vram demo tools path consumers

kunit selftest hwtest device pci stress fuzz:
	@$(SCRIPTS)/test.sh $@

coverage:
	@$(SCRIPTS)/coverage.sh

consumers tools path:
	@$(SCRIPTS)/test.sh $@

bench:
	@$(SCRIPTS)/bench.sh $(ROUNDS)

defects:
	@$(SCRIPTS)/defects.sh

test-long: export SECONDS_OF_STRESS = $(or $(TIME),300)
test-long:
	@$(SCRIPTS)/test.sh stress stress_plain stress_pci migrate_pci fuzz_long swiotlb limits mm_fixes defects kcsan

mm-fixes:
	@$(SCRIPTS)/mm-fixes.sh

check:
	@$(SCRIPTS)/check.sh

kernel:
	@$(SCRIPTS)/build.sh kernel $(MM_KIND)

modules:
ifdef KBUILD_OUTPUT
	@$(SCRIPTS)/build.sh output '$(KBUILD_OUTPUT)'
else
	@$(SCRIPTS)/build.sh modules $(MM_KIND)
endif

vm:
	@$(SCRIPTS)/build.sh modules $(MM_KIND)
	@$(SCRIPTS)/vm.sh --kernel $(MM_KIND) --interactive --timeout 0

docs:
	@$(SCRIPTS)/docs.sh

apply:
	@$(SCRIPTS)/apply.sh '$(KSRC)'

clean:
	rm -rf build
