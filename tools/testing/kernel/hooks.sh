# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# The hook lines: the few lines of existing kernel files that tie the overlay
# in. Each edit finds its place by a line of the file, so that it fits more than
# one kernel version; it changes nothing when it was made before, and says which
# file does not fit when its place is gone. Sourced.

# hook_files: the files that are edited
hook_files()
{
	echo drivers/gpu/drm/Kconfig
	echo drivers/gpu/drm/Makefile
	echo tools/testing/selftests/Makefile
	echo Documentation/gpu/rfc/gpusvm.rst
}

# hook_line after|before ANCHOR LINE [SECTION]: filter; puts LINE beside the
# first line that equals ANCHOR (white space aside), after a line SECTION if
# that is given. Status 3: no such place.
hook_line()
{
	awk -v where="$1" -v anchor="$2" -v line="$3" -v section="${4:-}" '
		function plain(s) { gsub(/[ \t]+/, " ", s); sub(/^ /, "", s); sub(/ $/, "", s); return s }
		{ text[NR] = $0; bare[NR] = plain($0); if (bare[NR] == plain(line)) there = 1 }
		END {
			open = (section == "")
			for (i = 1; i <= NR; i++) {
				if (!open && bare[i] == section) open = 1
				hit = open && !done && !there && bare[i] == plain(anchor)
				if (hit && where == "before") print line
				print text[i]
				if (hit && where == "after") print line
				if (hit) done = 1
			}
			if (!there && !done) exit 3
		}'
}

# The peer's objects leave drm_gpusvm_helper. Status 3: they are not there in
# the form that is known, and were not taken out before either.
hook_drop_peer()
{
	awk '
		/^drm_gpusvm_helper-\$\(CONFIG_ZONE_DEVICE\)/ { drop = 1; found = 1 }
		drop {
			more = /\\$/
			rest = $0
			gsub(/drm_gpusvm_helper-\$\(CONFIG_ZONE_DEVICE\)|\+=|drm_pagemap(_util)?\.o|\\|[ \t]/, "", rest)
			if (rest != "") odd = 1
			if (!more) drop = 0
			next
		}
		/CONFIG_DRM_PAGEMAP/ { found = 1 }
		/drm_pagemap/ { odd = 1 }
		{ print }
		END { exit (odd || !found) ? 3 : 0 }'
}

# The design document quotes the replaced file, which is not built any more.
hook_docs()
{
	awk '
		/^\.\. kernel-doc:: drivers\/gpu\/drm\/drm_pagemap\.c/ { drop = 1; next }
		drop && /^[ \t]+:/ { next }
		drop && /^$/ { drop = 0; if (!said++) print "The code and its kernel-doc are in drivers/gpu/drm/pagemap/.\n"; next }
		{ drop = 0; print }'
}

# hook_filter FILE: standard input, the content of FILE, to the edited content
hook_filter()
{
	case $1 in
	drivers/gpu/drm/Kconfig)
		hook_line after 'depends on DRM' $'\tselect DRM_PAGEMAP if ZONE_DEVICE' 'config DRM_GPUSVM' |
		hook_line before 'source "drivers/gpu/drm/vkms/Kconfig"' 'source "drivers/gpu/drm/pagemap/Kconfig"' |
		hook_line after 'source "drivers/gpu/drm/vkms/Kconfig"' 'source "drivers/gpu/drm/vsvm/Kconfig"'
		;;
	drivers/gpu/drm/Makefile)
		# From the last to the first: each goes right below the same line.
		hook_drop_peer |
		hook_line after 'obj-$(CONFIG_DRM_VKMS) += vkms/' $'obj-$(CONFIG_DRM_VSVM)\t+= vsvm/' |
		hook_line after 'obj-$(CONFIG_DRM_VKMS) += vkms/' $'obj-$(CONFIG_DRM_PAGEMAP)\t+= pagemap/'
		;;
	tools/testing/selftests/Makefile)
		hook_line before 'TARGETS += dt' 'TARGETS += drm/vsvm'
		;;
	Documentation/gpu/rfc/gpusvm.rst)
		hook_docs
		;;
	esac
}

# hook_file FILE FROM TO: TO becomes FROM with the hook lines
hook_file()
{
	local tmp=$3.hook.$$
	[ -f "$2" ] || die "the hook lines do not fit: $1 is missing"
	if ! hook_filter "$1" <"$2" >"$tmp"; then
		rm -f "$tmp"
		die "the hook lines do not fit: $1 (expected a 7.2 or 7.3 kernel)"
	fi
	put_if_changed "$3" <"$tmp"
	rm -f "$tmp"
}
