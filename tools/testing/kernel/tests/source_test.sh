#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Where the kernel source comes from, and what is said when it cannot come.

. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"
. "$KDIR/source.sh"

code=$(. /etc/os-release && echo "$VERSION_CODENAME")
APT_ETC=$WORK/apt
mkdir -p "$APT_ETC/sources.list.d"
cat >"$APT_ETC/sources.list.d/debian.sources" <<END
# a comment
Types: deb deb-src
URIs: http://one.invalid/debian
Suites: $code $code-updates
Components: main contrib

Types: deb
URIs: http://security.invalid/debian-security
Suites: $code-security
Components: main

Types: deb-src
URIs: http://source.invalid/debian
Suites: $code
Components: main
END
cat >"$APT_ETC/sources.list.d/vendor.list" <<END
deb [arch=amd64 signed-by=/x.gpg] http://vendor.invalid/apt vendor-$code main
deb http://docker.invalid/linux/debian $code stable
END
same "deb822 format" http://one.invalid/debian "$(debian_uris)"
cat >"$APT_ETC/sources.list" <<END
# deb http://off.invalid/debian $code main
deb [signed-by=/x.gpg] http://two.invalid/debian/ $code contrib main
deb http://security.invalid/debian-security $code-security main
END
same "one-line format" "http://one.invalid/debian http://two.invalid/debian/" "$(debian_uris | xargs)"

# Nothing answers: port 9 of this host
rm -r "$APT_ETC/sources.list.d"
echo "deb http://127.0.0.1:9/debian $code main" >"$APT_ETC/sources.list"
CACHE=$WORK/cache
need_space() { :; }
run source_tree
same "no network, no cache: stops" 1 "$STATUS"
same "with one line" 1 "$(grep -c '^error' <<<"$OUTPUT")"
says "that says why" "cannot be reached"
same "and leaves nothing that looks whole" no "$([ -e "$CACHE/source" ] && echo yes || echo no)"

# What is in the cache is used as it is
mkdir -p "$CACHE/linux-7.3.0/src"
echo linux-7.3.0 >"$CACHE/source"
run source_tree
same "no network, but a cache: silent" "0 " "$STATUS $OUTPUT"

finish
