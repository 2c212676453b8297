#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# make install puts everything where it is asked to, a program finds it there by
# pkg-config, and make uninstall leaves nothing. What the library exports is
# what its list says.
. "$(dirname "$0")/tap.sh"

build=${COPPICE_BUILD:-build/release}
case $build in
*/release) ;;
*) skip_all 'the release build is what is installed' ;;
esac
cc=${CC:-cc}
root=$work/root

make -s install DESTDIR="$root" PREFIX=/opt/kg LIBDIR=/opt/kg/lib/here \
	>"$work/out" 2>&1
ok $? 'make install with DESTDIR, PREFIX and LIBDIR' || diag "$(cat "$work/out")"
is "$(ls "$root")" opt 'nothing goes beside PREFIX'
is "$(cd "$root/opt/kg/lib/here" && find . -name 'libcoppice*' | LC_ALL=C sort |
	tr '\n' ' ')" './libcoppice.a ./libcoppice.so ./libcoppice.so.0 ./libcoppice.so.0.1.0 ' \
	'LIBDIR has the library under its names'
is "$(objdump -p "$root/opt/kg/lib/here/libcoppice.so" |
	awk '$1 == "SONAME" { print $2 }')" libcoppice.so.0 'its SONAME has a number'
for file in bin/coppice include/coppice.h include/coppice.cdef.h \
	include/coppice.ffi.h share/man/man1/coppice.1 share/man/man3/coppice.3 \
	share/man/man7/coppice-settings.7 \
	share/bash-completion/completions/coppice \
	share/zsh/site-functions/_coppice \
	share/fish/vendor_completions.d/coppice.fish \
	lib/systemd/system/coppice-warm@.service lib/sysusers.d/coppice.conf \
	lib/tmpfiles.d/coppice.conf share/coppice/php/Coppice.php \
	share/coppice/hdf5/hdf5_vectors.py; do
	[ -s "$root/opt/kg/$file" ]
	ok $? "$file is there"
done
is "$(grep -rlI '@[A-Z]*@' "$root/opt/kg/lib")" '' 'no place is left unnamed'
like "$(cat "$root/opt/kg/lib/systemd/system/coppice-warm@.service")" \
	'*ExecStart=/opt/kg/bin/coppice attach*' 'units name the command'
is "$(find "$root" -perm /022 ! -type l)" '' 'nobody else can write there'
is "$("$root/opt/kg/bin/coppice" --version)" 'coppice 0.1.0' \
	'the command runs from there'

# A program, as pkg-config says, where the files really are.
cat >"$work/try.c" <<'END'
#include <coppice.h>
#include <stdio.h>

int main(int count, char **words)
{
	cop_store *store;
	cop_err err = count > 1 ? cop_create(words[1], NULL) : COP_INVALID;

	if (!err)
		err = cop_open(words[1], NULL, &store);
	if (err)
		return fprintf(stderr, "%s\n", cop_last_error()), 1;
	cop_close(store);
	return puts(cop_version()) < 0;
}
END
PKG_CONFIG_LIBDIR=$root/opt/kg/lib/here/pkgconfig:$(pkg-config --variable \
	pc_path pkg-config)
PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
is "$(pkg-config --modversion coppice)" 0.1.0 'pkg-config knows the version'
# shellcheck disable=SC2046
$cc -o "$work/try" "$work/try.c" $(pkg-config --cflags --libs coppice)
ok $? 'a program compiles and links with what pkg-config says'
is "$(LD_LIBRARY_PATH=$root/opt/kg/lib/here "$work/try" "$store")" 0.1.0 \
	'it runs'
objdump -p "$work/try" | grep -q 'NEEDED *libcoppice.so.0$'
ok $? 'it needs the SONAME'
# shellcheck disable=SC2046
$cc -static-libgcc -o "$work/static" "$work/try.c" $(pkg-config --cflags coppice) \
	"$root/opt/kg/lib/here/libcoppice.a" $(pkg-config --static --libs coppice |
	sed 's/-lcoppice//; s|-L[^ ]*||')
ok $? 'and links with the static library'
"$COPPICE" detach "$store"
is "$("$work/static" "$work/other")" 0.1.0 'which runs'

# ---- what is exported

cp core/libcoppice.symbols "$work/symbols"
tools/package/symbols "$build/libcoppice.so.0" 0.1.0 "$work/symbols"
cmp -s core/libcoppice.symbols "$work/symbols"
ok $? 'the library exports what core/libcoppice.symbols says' || {
	diag "run: make symbols, if this is meant:"
	diag "$(diff core/libcoppice.symbols "$work/symbols")"
}
is "$(nm -D --defined-only "$root/opt/kg/lib/here/libcoppice.so.0" |
	awk '$2 == "T" { print $3 }' | grep -v '^cop_.*@@COPPICE_')" '' \
	'each function has a version'

# ---- hardening, as a distribution's

for file in bin/coppice lib/here/libcoppice.so.0; do
	headers=$(readelf -lW -d "$root/opt/kg/$file")
	like "$headers" '*GNU_RELRO*' "$file: relocations become read-only"
	like "$headers" '*BIND_NOW*' "$file: all of them at the start"
	is "$(echo "$headers" | grep 'GNU_STACK' | grep -c RWE)" 0 \
		"$file: no code on the stack"
	nm -D "$root/opt/kg/$file" | grep -q '__stack_chk_fail'
	ok $? "$file: stacks are guarded"
	nm -D "$root/opt/kg/$file" | grep -q '_chk@'
	ok $? "$file: copies are checked"
	is "$(readelf -dW "$root/opt/kg/$file" | grep -cE 'RPATH|RUNPATH')" 0 \
		"$file: libraries are looked for where the system does"
done
like "$(readelf -hW "$root/opt/kg/bin/coppice")" '*DYN*' \
	'bin/coppice: may be loaded anywhere'

# ---- and away again

make -s uninstall DESTDIR="$root" PREFIX=/opt/kg LIBDIR=/opt/kg/lib/here
is "$(find "$root" ! -type d)" '' 'make uninstall leaves nothing'
make -s install-strip DESTDIR="$root" >"$work/out" 2>&1
ok $? 'make install-strip' || diag "$(cat "$work/out")"
is "$(readelf -SW "$root/usr/local/lib/libcoppice.so.0" \
	"$root/usr/local/bin/coppice" | grep -c '\.debug_')" 0 \
	'leaves no debugging information'
make -s uninstall DESTDIR="$root"
is "$(find "$root" ! -type d)" '' 'uninstalled, nothing is left of it either'
done_testing
