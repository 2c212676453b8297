#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What packages are made of: units for systemd, manifests for Kubernetes, the
# Dockerfile, and what Debian's package says that it needs. The packages
# themselves are built and tried if COPPICE_TEST_PACKAGES is set, which takes
# minutes and Debian's archive.
. "$(dirname "$0")/tap.sh"

units=tools/package/systemd
mkdir "$work/units"
for unit in warm@.service compact@.service compact@.timer serve@.service; do
	instance=coppice-${unit%@*}@kg.${unit##*.}
	sed "s|@BINDIR@|$(dirname "$COPPICE")|" "$units/coppice-$unit" \
		>"$work/units/$instance"
	grep -q '^\[Install\]' "$work/units/$instance" ||
		[ "$unit" = compact@.service ]
	ok $? "$unit says what starts it"
done
if command -v systemd-analyze >/dev/null; then
	out=$(cd "$work/units" && systemd-analyze verify --man=no ./* 2>&1)
	is "$out" '' 'systemd has nothing against the units'
	for unit in warm compact serve; do
		out=$(systemd-analyze security --offline=yes --threshold=20 \
			"$work/units/coppice-$unit@kg.service" 2>&1)
		ok $? "little is open to coppice-$unit" || diag "$out"
	done
else
	skip 'systemd is not installed' 'systemd has nothing against the units'
fi
mkdir -p "$work/root/usr/lib/sysusers.d" "$work/root/usr/lib/tmpfiles.d" \
	"$work/root/etc"
cp "$units/sysusers.conf" "$work/root/usr/lib/sysusers.d/coppice.conf"
cp "$units/tmpfiles.conf" "$work/root/usr/lib/tmpfiles.d/coppice.conf"
if command -v systemd-sysusers >/dev/null && [ "$(id -u)" = 0 ]; then
	systemd-sysusers --root="$work/root" >"$work/out" 2>&1 &&
		systemd-tmpfiles --root="$work/root" --create >>"$work/out" 2>&1
	ok $? 'the user and the folders are made' || diag "$(cat "$work/out")"
	id=$(sed -n 's/^coppice:[^:]*:\([0-9]*\):.*/\1/p' "$work/root/etc/passwd")
	[ "$id" -gt 0 ] && [ "$id" -lt 1000 ]
	ok $? 'a system user, whose shared memory logind leaves alone'
	is "$(stat -c '%u %a' "$work/root/var/lib/coppice")" "$id 755" \
		'with a folder for its stores'
else
	skip 'it takes root and systemd' 'the user and the folders are made'
fi

# filter NAME: the system calls of one of systemd's sets, and of those in it
filter()
{
	systemd-analyze syscall-filter "$1" | sed -n '2,$s/^ *\([@a-z0-9_-]*\)$/\1/p' |
		grep . | while read -r name; do
		case $name in
		@*) filter "$name" ;;
		*) echo "$name" ;;
		esac
	done
}

# What units run calls nothing of the kernel's that they forbid: it would fail
# there, and only there. Sanitizers have calls of their own.
if [ "${COPPICE_BUILD:-build/release}" = build/release ] &&
	command -v systemd-analyze >/dev/null &&
	strace -o "$work/trace" true 2>/dev/null; then
	{
		filter @system-service
		filter @default
		echo execve
	} | sort -u >"$work/allowed"
	"$COPPICE" init "$store" --dim 3 --mode 0660 --group 0
	echo '{"key":"ada","vector":[1,0,0]}' | "$COPPICE" put "$store" >"$work/out"
	"$COPPICE" detach "$store"
	for verb in stat maintain compact checkpoint; do
		strace -f -qq -o "$work/trace" "$COPPICE" "$verb" "$store" \
			>"$work/out" 2>&1
		sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' "$work/trace" |
			sort -u >"$work/calls"
		[ "$(wc -l <"$work/calls")" -gt 10 ]
		ok $? "$verb calls the kernel"
		is "$(comm -23 "$work/calls" "$work/allowed" | tr '\n' ' ')" '' \
			"and $verb calls nothing that units forbid"
		is "$(grep -c '^socket(' "$work/calls")" 0 'nor any socket'
	done
else
	skip 'no systemd, no strace, or instrumented' 'units forbid nothing that is called'
fi

sed -n 's|^ExecSt[a-z]*=@BINDIR@/coppice ||p' "$units"/*.service |
	sort -u >"$work/runs"
while read -r verb options; do
	for word in "$verb" $options; do
		case $word in \$*) continue ;; esac
		"$COPPICE" help "$verb" 2>/dev/null | grep -qe "$word"
		ok $? "units run coppice $verb, and it has $word"
	done
done <"$work/runs"

manifests=tools/package/kubernetes
if command -v yamllint >/dev/null; then
	is "$(yamllint -s "$manifests" 2>&1)" '' 'the manifests are tidy YAML'
else
	skip 'yamllint is not installed' 'the manifests are tidy YAML'
fi
if /usr/bin/python3 -c 'import yaml' 2>/dev/null; then
	is "$(/usr/bin/python3 "$manifests/check.py" "$manifests"/*.yaml 2>&1)" '' \
		'they let containers share a store'
	# break SED WANT: the check finds what a change of the manifest breaks
	break_it()
	{
		sed "$1" "$manifests/statefulset.yaml" >"$work/broken.yaml"
		like "$(/usr/bin/python3 "$manifests/check.py" "$work/broken.yaml" \
			2>&1)" "*$2*" "else it is said: $2"
	}
	break_it 's/shareProcessNamespace: true/hostIPC: false/' \
		'shareProcessNamespace is not true'
	break_it 's/medium: Memory/medium: ""/' 'no emptyDir in memory'
	break_it 's/memory: 4Gi/memory: 2Gi/' 'used up by the shared memory'
	break_it 's/ReadWriteOnce/ReadWriteMany/' 'mounted by several machines'
	break_it 's/livenessProbe/lifecycle/' 'no livenessProbe'
	break_it 's|/dev/shm|/dev/shn|' '/dev/shm is not the shared one'
else
	skip 'python3-yaml is not installed' 'they let containers share a store'
fi

# What the build needs is what tools/deps installs for it.
needs=$(sed -n '/^Build-Depends/,/^[A-Z]/p' tools/package/debian/control)
for name in $(sed -n "/^group_build='/,/'\$/p" tools/deps |
	sed "s/^group_build='//" | cut -f 1 | grep -vxE 'gcc|make'); do
	echo "$needs" | grep -qE "^ $name(,|\$)"
	ok $? "Debian's package is built with $name"
done
is "$(sed -n 's/^coppice (\(.*\)).*/\1/p' tools/package/debian/changelog |
	head -n 1)" "$("$COPPICE" --version | cut -d ' ' -f 2)" \
	'its version is that of coppice'
is "$(sed -n 's/.*image: coppice:\(.*\)/\1/p' "$manifests"/*.yaml | sort -u)" \
	"$("$COPPICE" --version | cut -d ' ' -f 2)" "and so is the image's"

if git rev-parse >/dev/null 2>&1; then
	make -s dist DIST="$work/one" && make -s dist DIST="$work/two"
	ok $? 'the sources are packed'
	cmp -s "$work/one"/*.tar.xz "$work/two"/*.tar.xz
	ok $? 'the same ones twice'
	is "$(tar -tf "$work/one"/*.tar.xz | sed 's|^[^/]*/||' | grep -v '/$' |
		grep . | LC_ALL=C sort | md5sum)" \
		"$(git ls-files | LC_ALL=C sort | md5sum)" 'and all of them'
fi

if [ -n "${COPPICE_TEST_PACKAGES-}" ]; then
	tools/package/build build/deb --check >"$work/out" 2>&1
	ok $? 'the packages are built, the same twice, and lintian agrees' ||
		diag "$(tail -n 30 "$work/out")"
	if [ "$(id -u)" = 0 ] && command -v debootstrap >/dev/null; then
		tools/package/try >"$work/out" 2>&1
		ok $? 'they work where they are installed, and leave nothing' ||
			diag "$(tail -n 30 "$work/out")"
	else
		skip 'it takes root and debootstrap' 'they work'
	fi
else
	skip 'COPPICE_TEST_PACKAGES is not set' 'the packages are built and tried'
fi
done_testing
