#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# What is judged when the kernel's own users of the core are built: sources that
# were edited, warnings, and symbols that somebody else has.

. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"
. "$KDIR/consumers.sh"

# Sources, as they were unpacked
TREE=$WORK/linux-7.3.0
src=$TREE/src
mkdir -p "$src"/drivers/gpu/drm/{xe,ttm,scheduler} "$src/include/drm" "$src/include/uapi/drm"
for file in drivers/gpu/drm/{drm_gpusvm.c,Makefile,xe/xe_svm.c} include/drm/drm_{gpusvm,pagemap}.h; do
	echo "$file" >"$src/$file"
done
source_sums "$src" >"$TREE/sums"
run check_sources
same "as packaged" 0 "$STATUS"
echo ours >"$src/include/drm/drm_pagemap.h"
echo hook >>"$src/drivers/gpu/drm/Makefile"
run check_sources
same "the overlay and its hooks are not the package's" 0 "$STATUS"
echo edited >>"$src/drivers/gpu/drm/xe/xe_svm.c"
touch "$src/drivers/gpu/drm/xe/more.h"
rm "$src/include/drm/drm_gpusvm.h"
run check_sources
same "edited, added, removed" 1 "$STATUS"
says "and named" "drivers/gpu/drm/xe/more.h drivers/gpu/drm/xe/xe_svm.c include/drm/drm_gpusvm.h"

# Warnings
OBJ=$WORK/obj
mkdir -p "$OBJ/drivers/gpu/drm/xe"
log=$WORK/log
echo '  CC      a.o' >"$log"
run check_build 0 "$log"
same "a build without a warning" "0 " "$STATUS $OUTPUT"
same "stays" yes "$([ -d "$OBJ/drivers/gpu/drm/xe" ] && echo yes || echo no)"
echo 'xe.o: warning: objtool: odd' >>"$log"
run check_build 0 "$log"
same "a warning that did not stop it" 1 "$STATUS"
same "is seen again the next time" no "$([ -d "$OBJ/drivers/gpu/drm/xe" ] && echo yes || echo no)"

# Symbols
object()
{
	mkdir -p "$OBJ/$(dirname "$1")"
	gcc -x c -c -o "$OBJ/$1" - 2>"$WORK/gcc"
}
code='void drm_pagemap_a(void) {} int __ksymtab_drm_pagemap_a;'
object "$CORE" <<<"$code"
object "$GPUSVM" <<<'void drm_pagemap_a(void); void g(void) { drm_pagemap_a(); }'
object "$XE" <<<'void drm_pagemap_a(void); void x(void) { drm_pagemap_a(); }'
run check_symbols
same "all symbols are the core's" 0 "$STATUS"
object "$XE" <<<'void drm_pagemap_b(void); void x(void) { drm_pagemap_b(); }'
run check_symbols
same "a symbol that the core does not have" 1 "$STATUS"
says "is named" "drm_pagemap_b"
object "$XE" <<<'void drm_pagemap_a(void); void x(void) { drm_pagemap_a(); }'
object "$GPUSVM" <<<"$code"
run check_symbols
same "a helper with symbols of its own" 1 "$STATUS"
rm "$OBJ/$XE"
run check_symbols
says "a module that is not there" "$XE was not built"

finish
