#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_large: contents of any size in dumps, a part a line.
. "$(dirname "$0")/tap.sh"

# dumped NAME: $store has $work/dump, and nothing else
dumped()
{
	"$COPPICE" export "$store" --quiet | cmp - "$work/dump" >"$work/diff"
	ok $? "$1" || diag "$(cat "$work/diff")"
}

# contents NAME: those of $store are the files $work/in/KEY
contents()
{
	wrong=
	for file in "$work"/in/*; do
		"$COPPICE" content get "$store" "${file##*/}" 2>/dev/null |
			cmp -s - "$file" || wrong="$wrong ${file##*/}"
	done
	is "$wrong" '' "$1"
}

# parts FILE: how many lines are parts
parts()
{
	grep -c '^{"content":{' "$1"
}

fresh
mkdir "$work/in"
python3 - "$work/in" <<-'END'
	import random, sys
	folder = sys.argv[1] + '/'
	mega = 1 << 20
	random.seed(7)
	noise = random.Random(7).randbytes(3 * mega + 5)
	line = ''.join(f'{i} "Größe" \\ € 🌳\t\r\n' for i in range(1000)).encode()
	text = (line * (3 * mega // len(line)))
	for name, data in {
	        'text': text, 'noise': noise, 'mega': b'x' * mega,
	        'more': b'x' * mega + b'\n', 'zero': bytes(2 * mega),
	        'control': b'\x01' * (2 * mega),
	        # a character across the cut; one that is none; one cut off
	        'cut2': b'x' * (mega - 1) + 'é'.encode() * 9,
	        'cut4': b'x' * (mega - 3) + '🌳'.encode() * 9,
	        'bad': text[:2 * mega] + b'\xff' + text[:mega],
	        'broken': b'x' * mega + b'\xf0\x9f\x8c',
	}.items():
	    open(folder + name, 'wb').write(data)
	END
for file in "$work"/in/*; do
	"$COPPICE" content put "$store" "${file##*/}" "$file" >/dev/null
done
"$COPPICE" put "$store" >/dev/null <<-'END'
	{"key":"text","type":"T","tags":["a"],"n":1,"content_bytes":3119240}
	{"key":"empty"}
	{"source":"text","relation":"r","target":"zero"}
END
exits 0 'a dump' export "$store" --output "$work/dump"
is "$err" '11 entities, 1 edge' 'of all, and nothing is left out'
is "$(wc -L <"$work/dump")" 6291512 \
	'its longest line is a part of control characters'
is "$(parts "$work/dump") $(grep -c '"base64"' "$work/dump")" '23 6' \
	'what is over 1 MiB is in parts, of text but where it is none'

fresh
exits 0 'imported' import "$store" "$work/dump" --json
is "$(field entities_put <"$work/out")" 11 'it has as many entities'
dumped 'its dump is the same'
contents 'and its contents'
exits 0 'the store is whole' check "$store" --deep
exits 0 'imported again' import "$store" "$work/dump" --quiet
dumped 'it is the same still'

# ---- other ways in

fresh
"$COPPICE" put "$store" <"$work/dump" >"$work/number"
dumped 'put takes such lines, too'
fresh
(
	echo '['
	sed '$!s/$/,/' "$work/dump"
	echo ']'
) | gzip -1 >"$work/list.json.gz"
exits 0 'a packed list of them' import "$store" "$work/list.json.gz" --quiet
dumped 'is the same'
for conflict in error skip merge; do
	fresh
	exits 0 "--on-conflict $conflict" import "$store" "$work/dump" --json \
		--on-conflict $conflict
	is "$(field entities_put <"$work/out")" 11 'puts as many entities'
	dumped 'which are the same'
done
exits 0 'merged with what is there' import "$store" "$work/dump" --quiet \
	--on-conflict merge
dumped 'they are the same'
exits 7 'put where they are' import "$store" "$work/dump" --quiet \
	--on-conflict error
like "$err" "*:*: the entity 'bad' is there already*" 'they are refused'
fresh
exits 0 'a dry run' import "$store" "$work/dump" --dry-run --json
is "$(field entities_put <"$work/out")" 11 'counts them'
is "$(figure entities)" 0 'and puts nothing'
echo '{"key":"text","n":2,"content":"short"}' | "$COPPICE" put "$store" \
	>"$work/number"
exits 0 'skipped' import "$store" "$work/dump" --quiet --on-conflict skip
exits 0 'what is there' get "$store" text --json
like "$out" '*"n":2*"content":"short"*' 'stays'
"$COPPICE" put "$store" --if-absent <"$work/dump" >"$work/number" 2>&1
is "$?" 1 'put --if-absent of what is there'
exits 0 'puts nothing' get "$store" text --json
like "$out" '*"n":2*"content":"short"*' 'of it'

# ---- memory

# Of 100 MB in one content there is one part at a time.  A read reserves 120 MB
# of addresses, which count.
fresh
seq 1 40000000 | head -c 100000000 | "$COPPICE" content put "$store" seq \
	>"$work/number"
case $COPPICE in
*/asan*/* | */tsan*/*) limit=unlimited ;; # they take more
*) limit=163840 ;;
esac
# shellcheck disable=SC3045
(ulimit -d $limit && "$COPPICE" export "$store" >"$work/dump") 2>"$work/err"
ok $? 'a dump of 100 MB in 160 MiB of memory' || diag "$(cat "$work/err")"
fresh
# shellcheck disable=SC3045
(ulimit -d $limit && "$COPPICE" import "$store" "$work/dump" --quiet) \
	2>"$work/err"
ok $? 'an import of it, too' || diag "$(cat "$work/err")"
dumped 'is the same'

# The longest line that there can be: properties that are escaped.
perl -e 'print qq({"key":"a","p":"), "\\u0001" x 16700000, qq("}\n)' >"$work/long"
fresh
exits 0 'properties of a hundred megabytes in a line' import "$store" \
	"$work/long" --quiet
"$COPPICE" export "$store" --quiet >"$work/dump"
fresh
exits 0 'are imported from a dump' import "$store" "$work/dump" --quiet
dumped 'as they were'

# ---- what is damaged

cp "$work/in/noise" "$work/noise"
printf 'text' >"$work/small"
fresh
"$COPPICE" content put "$store" noise "$work/noise" >"$work/number"
"$COPPICE" content put "$store" small "$work/small" >"$work/number"
"$COPPICE" export "$store" --quiet >"$work/whole"
is "$(parts "$work/whole") $(wc -l <"$work/whole")" '4 6' 'four parts'

# refused NAME PATTERN: $work/dump, with that message; the other entity is in
# with --skip-bad
refused()
{
	fresh
	exits 7 "$1" import "$store" "$work/dump"
	like "$err" "$2" 'is refused'
	is "$(figure entities)" 0 'as a whole'
	exits 0 'left out' import "$store" "$work/dump" --skip-bad --json
	is "$(field bad <"$work/out")" 1 'it is one bad record'
	exits 0 'the one after it' get "$store" small
	exits 1 'is there alone' get "$store" noise
}
sed 2d "$work/whole" >"$work/dump"
refused 'a part that is missing' '*:4: *the line of its byte 1048576 *'
sed 1d "$work/whole" >"$work/dump"
refused 'the first one' '*:4: *the line of its byte 0 *'
sed 4d "$work/whole" >"$work/dump"
refused 'the last one' \
	'*:4: *have 3145728 bytes, and "content_bytes" says 3145733*'
sed '2{h;d};3G' "$work/whole" >"$work/dump"
refused 'parts in another order' '*:5: *the line of its byte 1048576 *'
sed '3s/"base64":"..../&*/' "$work/whole" >"$work/dump"
refused 'a part that is no base64' '*:5: *a line of it is neither text nor base64*'
sed '3s/.$//' "$work/whole" >"$work/dump"
refused 'a part cut off' '*:5: *a line of it is no valid JSON*'
sed '1,4s/"noise"/"other"/' "$work/whole" >"$work/dump"
refused 'parts of another entity' '*:5: *are another entity*'
sed 5d "$work/whole" >"$work/dump"
fresh
exits 0 'parts without a record' import "$store" "$work/dump"
like "$err" '*4 lines of contents were left out*' 'are told of'
is "$(figure entities)" 1 'and put nothing'
head -3 "$work/whole" >"$work/dump"
fresh
exits 0 'a dump that ends among parts' import "$store" "$work/dump"
like "$err" '*3 lines of contents were left out*' 'tells it, too'

# ---- broken off

# The reader of a pipe that stalls among the parts of an entity is killed.
fresh
for number in 1 2 3 4 5 6; do
	(cat "$work/noise" && echo $number) |
		"$COPPICE" content put "$store" k$number >"$work/number"
	echo "{\"key\":\"l$number\"}" | "$COPPICE" put "$store" >"$work/number"
done
"$COPPICE" export "$store" --quiet >"$work/dump"
fresh
mkfifo "$work/pipe"
"$COPPICE" import "$store" - --batch 1 --quiet <"$work/pipe" 2>"$work/err" &
pid=$!
exec 4>"$work/pipe"
head -12 "$work/dump" >&4
i=0
until [ "$(figure entities)" = 2 ] || [ $i -gt 200 ]; do
	i=$((i + 1))
	sleep 0.05
done
kill -KILL $pid
wait $pid 2>"$work/err"
exec 4>&-
is "$(figure entities)" 2 'an import is killed between parts of the third'
exits 0 'and goes on' import "$store" - --resume --json <"$work/dump"
is "$(field entities_put <"$work/out")" 12 'each is put once'
dumped 'and it is the same'

# ---- history

fresh
again=$work/again
history_again()
{
	"$COPPICE" export "$store" --history --quiet >"$work/dump"
	run init "$again"
	exits 0 "$1: imported" import "$again" "$work/dump" --quiet
	"$COPPICE" export "$again" --history --quiet | cmp -s "$work/dump" -
	ok $? "$1: dumped again it is the same"
	exits 0 "$1: the store is whole" check "$again" --deep
	run detach "$again"
	rm -rf "$again"
}
give()
{
	"$COPPICE" content put "$store" "$1" "$2" >"$work/number"
}
give a "$work/noise"
"$COPPICE" tag "$store" a --tag t >"$work/number"
is "$("$COPPICE" export "$store" --history --quiet |
	grep -c '"content_bytes":3145733')" 2 'two versions'
is "$("$COPPICE" export "$store" --history --quiet | parts -)" 4 \
	'have the parts once'
tr x y <"$work/noise" >"$work/other"
give a "$work/other"
give b "$work/small"
give a "$work/noise"
give b "$work/in/more"
give a "$work/small"
run delete "$store" b
run undelete "$store" b
"$COPPICE" tag "$store" b --tag t >"$work/number"
history_again 'a history of large contents'
is "$(parts "$work/dump")" 16 'parts are there where a content is another'
done_testing
