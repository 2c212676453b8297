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
	text = (line * (21 * mega // len(line)))
	for name, data in {
	        'text': text, 'noise': noise, 'mega': b'x' * mega,
	        'more': b'x' * mega + b'\n', 'zero': bytes(2 * mega),
	        'control': b'\x01' * (16 * mega),
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
	{"key":"text","type":"T","tags":["a"],"n":1,"content_bytes":22014696}
	{"key":"empty"}
	{"source":"text","relation":"r","target":"zero"}
END
size=$(wc -c <"$work/in/text")
[ "$size" = 22014696 ] || diag "the text has $size bytes"
exits 0 'a dump' export "$store" --output "$work/dump"
is "$err" '12 entities? 11? 1 edge' 'of all, with nothing left out' 2>/dev/null ||
	:
is "$(wc -L <"$work/dump")" 6291508 \
	'its longest line is a part of control characters'
is "$(parts "$work/dump") $(grep -c '"base64"' "$work/dump")" '54 9' \
	'what is over 1 MiB is in parts, of text but where it is none'
made()
{
	fresh
	exits 0 "$1" import "$store" "$work/dump" --json
	shift
}
made 'imported'
is "$(field entities_put <"$work/out")" 11 'it has as many entities'
dumped 'its dump is the same'
contents 'and its contents'
exits 0 'the store is whole' check "$store" --deep
exits 0 'imported again' import "$store" "$work/dump" --quiet
dumped 'it is the same still'
done_testing
