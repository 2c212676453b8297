#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What the README shows works: its C example compiles against an installed
# library and runs, and the interface parses as plain declarations.
. "$(dirname "$0")/tap.sh"

cc=${CC:-cc}
prefix=$work/usr
make -s install PREFIX="$prefix" >"$work/install" 2>&1
ok $? "make install PREFIX=... installs"
for file in include/coppice.h lib/libcoppice.so.0 lib/libcoppice.a \
	lib/pkgconfig/coppice.pc bin/coppice share/man/man1/coppice.1; do
	[ -e "$prefix/$file" ]
	ok $? "it installs $file"
done
# example NUMBER: that C example of the README, on a store of ours
example()
{
	awk -v want="$1" '/^```c$/ { n++; on = 1; next }
		/^```$/ { on = 0 } on && n == want' README.md |
		sed "s|/tmp/kg|$work/kg|g"
}
example 1 >"$work/first.c"
example 2 >"$work/transfer.c"
[ "$(wc -l <"$work/first.c")" -gt 20 ] && [ -s "$work/transfer.c" ]
ok $? "the README has two C examples"
PKG_CONFIG_PATH=$prefix/lib/pkgconfig
export PKG_CONFIG_PATH
case ${COPPICE_BUILD-} in
*asan* | *tsan* | *ubsan*)
	skip "a program without the sanitizer cannot load the library" \
		"the examples compile and run"
	;;
*)
	for name in first transfer; do
		# shellcheck disable=SC2046
		$cc -std=c11 -Wall -Werror -o "$work/$name" "$work/$name.c" \
			$(pkg-config --cflags --libs coppice)
		ok $? "the $name example compiles with what pkg-config says"
	done
	out=$(LD_LIBRARY_PATH=$prefix/lib "$work/first")
	is "$out" "1 hit, id 1 at distance 0" "the first finds its hit"
	out=$(LD_LIBRARY_PATH=$prefix/lib "$work/transfer")
	is "$out" "2 entities changed together" "the other transfers"
	;;
esac

exported=$(nm -D --defined-only "$prefix/lib/libcoppice.so.0" |
	awk '$2 == "T" { print $3 }' | grep -v '^cop_')
is "$exported" "" "the library exports nothing but cop_*"
$cc -E -P -DCOP_CDEF core/coppice.h >"$work/cdef.h"
! grep -nE '__attribute__|#|static|inline' "$work/cdef.h"
ok $? "the header without its macros is plain declarations"
done_testing
