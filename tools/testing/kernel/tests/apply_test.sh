#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# The overlay goes into a kernel tree once, whole, or not at all.

. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"
. "$KDIR/hooks.sh"

tree=$WORK/linux

# A tree as small as the hooks allow, in the form of 7.2 and 7.3
small_tree()
{
	rm -rf "$tree"
	mkdir -p "$tree"/drivers/gpu/drm "$tree"/tools/testing/selftests "$tree"/Documentation/gpu/rfc
	echo 'VERSION = 7' >"$tree/Makefile"
	cat >"$tree/drivers/gpu/drm/Kconfig" <<-'END'
		config DRM_GPUVM
			tristate
			depends on DRM

		config DRM_GPUSVM
			tristate
			depends on DRM
			select HMM_MIRROR

		source "drivers/gpu/drm/vgem/Kconfig"
		source "drivers/gpu/drm/vkms/Kconfig"
		source "drivers/gpu/drm/xe/Kconfig"
	END
	cat >"$tree/drivers/gpu/drm/Makefile" <<-'END'
		drm_gpusvm_helper-y := \
			drm_gpusvm.o
		drm_gpusvm_helper-$(CONFIG_ZONE_DEVICE) += \
			drm_pagemap.o\
			drm_pagemap_util.o

		obj-$(CONFIG_DRM_GPUSVM) += drm_gpusvm_helper.o
		obj-$(CONFIG_DRM_VKMS)	+= vkms/
		obj-$(CONFIG_DRM_XE) += xe/
	END
	printf 'TARGETS += %s\n' drivers/net dt efivarfs >"$tree/tools/testing/selftests/Makefile"
	printf 'Overview\n\n.. kernel-doc:: drivers/gpu/drm/%s\n   :doc: Overview\n\nEnd\n' \
		drm_gpusvm.c drm_pagemap.c >"$tree/Documentation/gpu/rfc/gpusvm.rst"
}

state()
{
	(cd "$tree" && find . -type f -exec sha256sum {} + | sort)
}

lines()
{
	grep -c -- "$1" "$tree/$2" || :
}

small_tree
run "$KDIR/apply.sh" "$tree"
same "applies to a tree" 0 "$STATUS"
same "selects the core" 1 "$(lines 'select DRM_PAGEMAP if ZONE_DEVICE' drivers/gpu/drm/Kconfig)"
same "in the right place" "config DRM_GPUSVM" \
	"$(grep -B3 'select DRM_PAGEMAP' "$tree/drivers/gpu/drm/Kconfig" | head -n 1)"
same "takes the peer's objects out" 0 "$(lines 'drm_pagemap.*\.o' drivers/gpu/drm/Makefile)"
same "leaves drm_gpusvm.o in" 1 "$(lines 'drm_gpusvm.o' drivers/gpu/drm/Makefile)"
same "descends into the core" 1 "$(lines '+= pagemap/' drivers/gpu/drm/Makefile)"
same "descends into the driver" 1 "$(lines '+= vsvm/' drivers/gpu/drm/Makefile)"
same "adds the self-tests" 1 "$(lines 'TARGETS += drm/vsvm' tools/testing/selftests/Makefile)"
same "no document quotes the replaced file" 0 "$(lines 'drm_pagemap.c' Documentation/gpu/rfc/gpusvm.rst)"
missing=$(overlay_files | while read -r f; do cmp -s "$TOP/$f" "$tree/$f" || echo "$f"; done)
same "all files of the overlay are there" "" "$missing"

before=$(state)
run "$KDIR/apply.sh" "$tree"
same "applies again" 0 "$STATUS"
same "and changes nothing" "$before" "$(state)"

# break_file FILE SED_SCRIPT: the hooks do not fit FILE any more
break_file()
{
	local before
	small_tree
	sed -i "$2" "$tree/$1"
	before=$(state)
	run "$KDIR/apply.sh" "$tree"
	same "stops at another $1" 1 "$STATUS"
	says "and names it" "do not fit: $1"
	same "and leaves the tree alone" "$before" "$(state)"
}
break_file drivers/gpu/drm/Kconfig /DRM_GPUSVM/d
break_file drivers/gpu/drm/Makefile /vkms/d
break_file drivers/gpu/drm/Makefile 's/drm_pagemap_util.o/drm_pagemap_extra.o/'
break_file tools/testing/selftests/Makefile '/ dt$/d'

run "$KDIR/apply.sh" "$WORK/nothing"
same "stops where there is no tree" 1 "$STATUS"
says "and says so" "no such directory"
run "$KDIR/apply.sh"
says "asks for a tree" "KSRC="

finish
