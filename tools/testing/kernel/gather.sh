# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# Copies of what was built, in the clone's build/: the virtual machine is made
# from these, so that another clone's build cannot change it underway. A lock of
# their own keeps vm.sh from reading half of them. Sourced.

# results_lock: exclusive, until this process ends
results_lock()
{
	mkdir -p "$BUILD"
	exec 8>"$BUILD/lock"
	flock 8
}

# gather_kernel KIND
gather_kernel()
{
	local kind=$1
	results_lock
	mkdir -p "$BUILD/$kind"
	rsync -t "$OBJ/arch/x86/boot/bzImage" "$OBJ/vmlinux" "$OBJ/System.map" "$BUILD/$kind/"
	cp "$OBJ/.config" "$BUILD/$kind/config"
}

# gather_modules KIND: as modules_install does it, in a tenth of the time
gather_modules()
{
	local kind=$1 release root dir
	results_lock
	release=$(cat "$OBJ/include/config/kernel.release")
	root=$BUILD/$kind/root
	dir=$root/lib/modules/$release
	mkdir -p "$dir/kernel"
	rsync -rt --delete --delete-excluded --prune-empty-dirs --include-from=<(
		sed 's,^,/,' "$OBJ/overlay-modules") --include='*/' --exclude='*' \
		"$OBJ/" "$dir/kernel/"
	sed 's,^,kernel/,' "$OBJ/overlay-modules" >"$dir/modules.order"
	cp "$OBJ/modules.builtin" "$OBJ/modules.builtin.modinfo" "$dir/"
	"$(find_tool depmod)" -b "$root" "$release"
	find "$root/lib/modules" -mindepth 1 -maxdepth 1 ! -name "$release" -exec rm -rf {} +
	echo "$release" >"$BUILD/$kind/release"
	echo "$TREE/src $OBJ" >"$BUILD/$kind/built-in"
	[ "$kind" != coverage ] || gather_notes
}

# gather_notes: what gcov's counts are of, in the compiler's words and the source
gather_notes()
{
	local dir=$BUILD/coverage
	mkdir -p "$dir/notes" "$dir/src"
	(cd "$OBJ" && rsync -rtR --delete --prune-empty-dirs --include='*/' --include='*.gcno' --exclude='*' \
		drivers/gpu/drm/pagemap drivers/gpu/drm/vsvm "$dir/notes/")
	overlay_files | grep -E '^(drivers|include)/.*\.[ch]$' | rsync -t --files-from=- "$TREE/src/" "$dir/src/"
}

# gather_user: headers, and the programs that are built against them
gather_user()
{
	local selftests=$TREE/src/tools/testing/selftests dir
	results_lock
	mkdir -p "$BUILD/hdr/include" "$BUILD/kselftest" "$BUILD/user" "$BUILD/tests"
	rsync -rt --delete "$TREE/headers/install/include/" "$BUILD/hdr/include/"
	rsync -t "$selftests/kselftest.h" "$selftests/kselftest_harness.h" "$BUILD/kselftest/"
	dir=tools/gpu/vsvm
	if [ -f "$TOP/$dir/Makefile" ]; then
		make -s -C "$TOP/$dir" HDR="$BUILD/hdr/include" OUT="$BUILD/user"
	else
		say "no user programs yet ($dir/Makefile)"
	fi
	dir=tools/gpu/vsvm/device
	mkdir -p "$BUILD/host"
	make -s -C "$TOP/$dir" OUT="$BUILD/host" || die "vsvm-device does not build"
	dir=tools/testing/selftests/drm/vsvm
	if [ -f "$TOP/$dir/Makefile" ]; then
		make -s -C "$TOP/$dir" HDR="$BUILD/hdr/include" KSELFTEST="$BUILD/kselftest" OUT="$BUILD/tests"
	else
		say "no self-tests yet ($dir/Makefile)"
	fi
}
