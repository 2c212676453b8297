#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_care: attach, ping, rebuild, config and the kinds of check.
. "$(dirname "$0")/tap.sh"

# More than a pipe holds, so that a scan waits.
awk 'BEGIN { for (i = 0; i < 400; i++)
	printf "{\"key\":\"k%d\",\"type\":\"T\",\"vector\":[%d,%d,1,%d]," \
		"\"content\":\"%0400d\"}\n",
		i, i % 97, i % 89, i % 7, i }' >"$work/in"

# --- attach and ping
exits 3 'ping no store' ping "$work/none"
like "$err" '*coppice init*' 'says what to do'
exits 0 'init' init "$store" --dim 4 --codes u8
exits 1 'ping a store that nobody has attached' ping "$store"
like "$err" '*coppice attach*' 'names attach'
is "$(ls -d "$store"/../x 2>/dev/null)" '' 'nothing is made'
exits 0 'attach' attach "$store"
like "$out" '*, built from the data file in *ms' 'says that it was built'
exits 0 'ping it then' ping "$store"
like "$out" 'commit 0: opened in * us, read in * us' 'a line with its times'
run put "$store" -q <"$work/in"
exits 0 'attach again' attach "$store" --json
is "$(field had <"$work/out")" found 'it is found'
exits 0 'checkpoint' checkpoint "$store"
exits 0 'detach' detach "$store"
exits 0 'attach after a detach' attach "$store" --json
is "$(field had <"$work/out")" loaded 'it is loaded from the image'
exits 0 'ping as JSON' ping "$store" --json --max-age 1s
is "$(field commit <"$work/out")" 1 'with the commit'
exits 2 'an age that is none' ping "$store" --max-age soon
mkdir "$work/empty"
exits 3 'ping an empty folder' ping "$work/empty"
cp -r "$store" "$work/unlocked"
rm "$work/unlocked/lock"
exits 3 'ping a store whose lock file is gone' ping "$work/unlocked"
like "$err" '*has no file `lock`, but the rest of a store; end every*' \
	'which is told apart, and what to do'
cp -r "$store" "$work/cut"
: >"$work/cut/gen-000001/data.mdb"
exits 4 'ping a store whose data file is empty' ping "$work/cut"

# CURRENT may name what is not there; the data file is, by another name.
cp -r "$store" "$work/astray"
printf 'coppice 4\ngen-000801\n' >"$work/astray/CURRENT"
exits 4 'ping a store whose CURRENT names no generation' ping "$work/astray"
like "$err" '*write the two lines `coppice 4` and `gen-000001` into it*' \
	'and what to write there'

# A small data file is mended as a large one is.
exits 0 'a small store' init "$work/small" --dim 3
echo '{"key":"a","vector":[1,2,4]}' | "$COPPICE" put "$work/small" -q
exits 0 'compacted' compact "$work/small" -q
perl -e 'open my $f, "+<:raw", $ARGV[0] or die; local $/; my $d = <$f>;
	my $at = index $d, pack "f<*", 1, 2, 4; $at > 0 or die;
	seek $f, $at, 0; print $f "\1\1";' "$work/small"/gen-*/data.mdb
exits 4 'get one whose vector is damaged' \
	get "$work/small" a --json --vector
is "$out" '' 'prints no part of a line'
exits 0 'detach it' detach "$work/small"
exits 0 'repair it' check "$work/small" --repair --drop-damaged
exits 0 'and nothing is found any more' check "$work/small" --deep
exits 0 'what was not damaged is there' get "$work/small" a
"$COPPICE" detach "$work/small"

# A process that was stopped while it attaches holds everybody up.
cp -r "$store" "$work/stop"
rm -f "$work/stop/gen-000001"/image-*
mkfifo "$work/pipe"
flock_held()
{
	perl -e 'use Fcntl; open my $f, "+<", $ARGV[0] or die;
		my $lock = pack "s s l! l! l! i", F_WRLCK, 0, 2, 1, 0, 0;
		fcntl $f, 37, $lock or die "lock: $!";
		open my $p, ">", $ARGV[1]; print $p "held\n"; close $p;
		sleep 60' "$1/lock" "$work/pipe" &
	holder=$!
	read -r held <"$work/pipe"
}
flock_held "$work/stop"
is "$held" held 'somebody holds the lock of who attaches'
exits 5 'ping does not wait for ever' ping "$work/stop" --timeout 0.2
kill "$holder"
wait "$holder" 2>/dev/null

# --- rebuild
exits 0 'a search' search "$store" --like k77 -k 5
found=$out
exits 0 'rebuild' rebuild "$store"
like "$out" 'built anew in * ms; commits waited * ms' 'says how long it took'
exits 0 'the search again' search "$store" --like k77 -k 5
is "$out" "$found" 'finds the same'
exits 0 'rebuild without images' rebuild "$store" --images --json
is "$(field beside <"$work/out")" true 'beside the one in use'
is "$(ls "$store"/gen-000001 | grep -c image)" 0 'no image is left'
exits 3 'rebuild no store' rebuild "$work/none"

# --- check
for kind in --quick --deep '--deep --repair' '--repair'; do
	# shellcheck disable=SC2086
	exits 0 "check $kind" check "$store" $kind
	is "$out" '' 'finds nothing'
done
exits 2 'quick and deep at once' check "$store" --quick --deep
exits 2 'quick and repair' check "$store" --quick --repair
exits 0 'checkpoint' checkpoint "$store"
printf damaged | dd of="$(ls "$store"/gen-000001/image-*)" bs=1 seek=900 \
	conv=notrunc 2>/dev/null
exits 1 'deep, with an image damaged' check "$store" --deep
like "$out" 'image: the image of commit 1 is damaged' 'names it'
like "$err" '*--repair*' 'and what to do'
exits 1 'as JSON' check "$store" --deep --json
json "$work/out"
ok $? 'a line an object'
like "$out" '*"schema":"coppice.check/1","left":1,"mended":0*' 'and the sum'
exits 0 'repaired' check "$store" --deep --repair
exits 0 'it is well' check "$store" --deep
is "$(ls "$store"/gen-000001 | grep -c image)" 0 'the image is gone'

# A data file with pages that make no sense, one after the other.
exits 0 'detach' detach "$store"
pages=$(($(stat -c %s "$store/gen-000001/data.mdb") / 4096))
page=2 worst=0 unsound=0
while [ $page -lt $pages ] && [ $page -lt 60 ]; do
	cp -r "$store" "$work/torn"
	printf '\377\177\377\177\003\377' | dd bs=1 conv=notrunc 2>/dev/null \
		of="$work/torn/gen-000001/data.mdb" seek=$((page * 4096 + 12))
	run check "$work/torn" --deep
	case $status in
	0 | 1 | 4) ;;
	*)
		worst=$status
		diag "page $page: status $status: $err"
		;;
	esac
	[ $status = 4 ] && run check "$work/torn" --repair
	[ $status = 4 ] && run check "$work/torn" --repair --drop-damaged
	run check "$work/torn" --deep
	if [ $status != 0 ]; then
		unsound=$page
		diag "page $page, repaired: status $status: $err $out"
	fi
	"$COPPICE" detach "$work/torn" >/dev/null 2>&1
	rm -r "$work/torn"
	page=$((page + 3))
done
is "$worst" 0 'a check of torn pages ends with a status, whatever LMDB does'
is "$unsound" 0 'and what is left of them is sound after a repair'

# An entry of which bits flip while its store is in shared memory: what prints
# it from within a visit says so, too.
rot()
{
	perl -e '($file, $hex) = @ARGV; $what = pack "H*", $hex; local $/;
		open $f, "+<:raw", $file or die; $all = <$f>;
		for ($at = 0; ($at = index $all, $what, $at) >= 0; $at++) {
			seek $f, $at, 0; print $f chr(3 ^ ord $what)
		}' "$1/gen-000001/data.mdb" "$2"
}
exits 0 'a store' init "$work/rot" --dim 2
exits 0 'of two, by' put "$work/rot" -q <<-'END'
	{"key":"a","vector":[123.25,7]}
END
exits 0 'the first commit' log "$work/rot" --json
time=$(field time_ns <"$work/out")
exits 0 'and another' put "$work/rot" -q <<-'END'
	{"key":"b","vector":[1,7]}
	{"source":"a","relation":"r","target":"b","properties":{"p":"of it"}}
END
rot "$work/rot" "$(perl -e 'print unpack "H*", pack "q<", @ARGV' "$time")"
exits 4 'history at a damaged commit' history "$work/rot" a
like "$err" '*is not what was written*restore a backup*' 'says what is'
rot "$work/rot" "$(perl -e 'print unpack "H*", pack "f<2", 123.25, 7')"
for verb in 'get a --json --vector' 'scan --vector'; do
	# shellcheck disable=SC2086
	set -- $verb
	what=$1
	shift
	exits 4 "$what at a damaged vector" "$what" "$work/rot" "$@"
	like "$err" '*is not what was written*restore a backup*' 'says what is'
done
rot "$work/rot" "$(printf 'of it' | od -An -tx1 | tr -d ' ')"
exits 4 'scan at a damaged edge' scan "$work/rot" --edges
like "$err" '*is not what was written*restore a backup*' 'says what is'

exits 2 'an audit that repairs' check "$store" --recall --repair
exits 2 'an audit of a depth' check "$store" --recall --deep
exits 0 'an audit as JSON' check "$store" --recall --json
json "$work/out"
ok $? 'is an object'
exits 0 'help' help ping
like "$out" '*--timeout=*(default: 5)*' 'how long ping waits is what it says'
is "$(grep -c -- --timeout "$work/out")" 2 'once, and once in its notes'

# --- config
exits 0 'config' config "$store"
like "$out" '*dim * 4 * fixed *numbers in a vector*' 'says what is fixed'
like "$out" '*history * 30d * live *' 'and what history is kept'
exits 0 'config as JSON' config "$store" --json
json "$work/out"
ok $? 'a line an object'
exits 0 'one parameter' config "$store" codes --json
is "$(field value <"$work/out")" u8 'with its value'
exits 2 'an unknown one' config "$store" cods
like "$err" '*Did you mean: codes*' 'the nearest is named'
exits 2 'a fixed one' config "$store" dim=3
exits 2 'a value that is none' config "$store" codes=u9
like "$err" '*auto, u8, f16, bf16, f32, b1*' 'there is a list'
exits 2 'two kinds at once' config "$store" codes=f32 history=7d
exits 2 'rows that codes do not allow' config "$store" codes=f16 rows=f32
exits 2 'one that is given twice' config "$store" cache=1M codes=u8 cache=2M
like "$err" '*cache is given twice*' 'is named'
exits 2 'no history, and some of it' config "$store" history=none history-count=3
like "$err" '*no history*3 versions*one of the two*' 'is told in words'
exits 0 'nothing has changed' config "$store" codes rows
like "$out" '*codes * u8 *rows * f16 *' 'for any of these'

"$COPPICE" scan "$store" --json >"$work/pipe" &
scan=$!
exec 3<"$work/pipe"
head -c 1 <&3 >/dev/null
tries=0
until "$COPPICE" readers "$store" >/dev/null || [ $tries -gt 200 ]; do
	tries=$((tries + 1))
	sleep 0.05
done
exits 5 'while somebody is attached codes stay' config "$store" codes=f32
exits 0 'history is changed meanwhile' config "$store" history=7d history-count=3
exec 3<&-
wait $scan
exits 0 'retain' retain "$store"
is "$out" 'store       7d, 3 versions' 'says the same'
exits 0 'the figures' stat "$store" --json
is "$(field history <"$work/out") $(field oldest <"$work/out")" '7d 0' \
	'and how far back one can look'

exits 0 'other codes' config "$store" codes=f32 record-bytes=0 expect=1000
exits 0 'the search' search "$store" --like k77 -k 5 --exact
exits 0 'finds as many' stat "$store" --json
is "$(field codes <"$work/out") $(field records <"$work/out")" 'f32 0' \
	'the segment is built by them'
exits 0 'check' check "$store" --deep
is "$out" '' 'nothing is found'
mkdir "$work/a-folder-that-is-no-memory"
exits 0 'shared memory on a disk' config "$store" \
	shm-dir="$work/a-folder-that-is-no-memory"
case $(stat -f -c %T "$work") in
tmpfs) is "$err" '' 'there it is none' ;;
*) like "$err" '*not on a tmpfs*' 'is told' ;;
esac
exits 0 'the listing' config "$store" shm-dir
like "$out" 'shm-dir * detached *' 'keeps its columns apart'
exits 0 'in memory again' config "$store" shm-dir=/dev/shm
is "$err" '' 'nothing is to be said'
exits 0 'and back' config "$store" codes=u8 record-bytes=512
exits 0 'the search once more' search "$store" --like k77 -k 5
is "$out" "$found" 'finds what it found'
exits 0 'help' help config
like "$out" '*bloom-rate *0.01 *detached*' 'has the table'
done_testing
