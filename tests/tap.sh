#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# tap.sh: Test Anything Protocol for shell tests; sourced by tests/*.sh.
#
# A test begins with
#	. "$(dirname "$0")/tap.sh"
# which goes to the repository's root, finds the command in $COPPICE, makes
# the folder $work that is removed at the end (stores directly in it are
# detached first), and sets an alarm.  It ends with `done_testing`.
#
#	run ARG...		runs coppice: $status, $out, $err
#	exits STATUS NAME ARG...	the same, and tests the exit status
#	is GOT WANT NAME	tests that two strings are equal
#	like GOT PATTERN NAME	tests a string against a shell pattern
#	ok STATUS NAME		tests that a status is 0
#	json FILE		status 0: every line of FILE is a JSON object
#	skip REASON NAME	a test that cannot be made here
#	skip_all REASON		none can: ends the file
#	$data			the folder of real data, if $has_data is 1

case ${0##*/} in
tap.sh)
	echo '1..0 # SKIP a helper of the other tests'
	exit 0
	;;
esac

if [ -z "${TAP_ALARM-}" ]; then
	TAP_ALARM=1 exec timeout -k 10 "${TAP_SECONDS:-600}" "$0" "$@"
fi
unset COPPICE_STORE
LC_ALL=C.UTF-8
export LC_ALL

cd "$(dirname "$0")/.." || exit 1
COPPICE=${COPPICE:-build/release/coppice}
case $COPPICE in
/*) ;;
*) COPPICE=$PWD/$COPPICE ;;
esac
[ -x "$COPPICE" ] || {
	echo "Bail out! $COPPICE is not built"
	exit 1
}
# What a sanitizer finds must not look like a status of the command's.
ASAN_OPTIONS=${ASAN_OPTIONS-}:exitcode=99
UBSAN_OPTIONS=${UBSAN_OPTIONS-}:exitcode=99
LSAN_OPTIONS=${LSAN_OPTIONS-}:exitcode=99
TSAN_OPTIONS=${TSAN_OPTIONS-}:exitcode=99
export ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS TSAN_OPTIONS
tap_count=0
tap_bad=0
has_data=0
data=${COPPICE_TEST_DATA:-../shared/data}
[ -d "$data/oewn" ] && has_data=1

tap_end()
{
	tap_status=$?
	trap - EXIT
	for tap_store in "$work"/*/; do
		[ -d "$tap_store" ] || continue
		"$COPPICE" detach "$tap_store" >/dev/null 2>&1
	done
	chmod -R u+rwX "$work" 2>/dev/null
	rm -rf "$work"
	exit "$tap_status"
}
work=$(mktemp -d "${TMPDIR:-/tmp}/coppice-test.XXXXXX") || exit 1
trap tap_end EXIT
trap 'exit 1' HUP INT PIPE TERM
store=$work/store

skip_all()
{
	echo "1..0 # SKIP $1"
	exit 0
}

diag()
{
	printf '%s\n' "$*" | sed 's/^/# /'
}

ok()
{
	tap_count=$((tap_count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tap_count - $2"
		return 0
	fi
	tap_bad=$((tap_bad + 1))
	echo "not ok $tap_count - $2"
	return 1
}

skip()
{
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $2 # SKIP $1"
}

is()
{
	if [ "$1" = "$2" ]; then
		ok 0 "$3"
	else
		ok 1 "$3"
		diag "got:    $1"
		diag "wanted: $2"
	fi
}

like()
{
	# shellcheck disable=SC2254
	case $1 in
	$2) ok 0 "$3" ;;
	*)
		ok 1 "$3"
		diag "got:    $1"
		diag "wanted: $2"
		;;
	esac
}

run()
{
	"$COPPICE" "$@" >"$work/out" 2>"$work/err"
	status=$?
	out=$(cat "$work/out")
	err=$(cat "$work/err")
}

exits()
{
	tap_want=$1
	tap_name=$2
	shift 2
	run "$@"
	is "$status" "$tap_want" "$tap_name"
	[ "$status" = "$tap_want" ] || diag "said: $err"
}

json()
{
	perl -MJSON::PP -ne 'ref decode_json($_) eq "HASH" or die' "$1" \
		2>/dev/null
}

# field NAME <FILE: a member of the first line's JSON object
field()
{
	perl -MJSON::PP -e 'my $v = decode_json(scalar <STDIN>)->{$ARGV[0]};
		print ref $v ? JSON::PP->new->utf8->canonical->encode($v) : $v // "null"' "$1"
}

# fresh [DIM]: a new, empty store in $store, of 2 dimensions by default
fresh()
{
	"$COPPICE" detach "$store" 2>/dev/null
	fresh_count=$((${fresh_count:-0} + 1))
	store=$work/store$fresh_count
	"$COPPICE" init "$store" --dim "${1:-2}" || echo 'Bail out! no store'
}

# figure NAME: of coppice stat
figure()
{
	"$COPPICE" stat "$store" --json | field "$1"
}

done_testing()
{
	echo "1..$tap_count"
	[ "$tap_bad" = 0 ]
	exit
}
