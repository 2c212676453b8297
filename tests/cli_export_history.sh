#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_export_history: a dump with history makes a store with the same history.
. "$(dirname "$0")/tap.sh"

# history STORE FILE: its dump
history()
{
	"$COPPICE" export "$1" --history --quiet >"$2"
}

# again NAME: what $store has is dumped, and made again as $work/again
again()
{
	"$COPPICE" detach "$work/again" 2>/dev/null
	rm -rf "$work/again"
	run init "$work/again" --dim 3
	history "$store" "$work/dump"
	exits 0 "$1: imported" import "$work/again" "$work/dump"
	history "$work/again" "$work/dump2"
	cmp -s "$work/dump" "$work/dump2"
	ok $? "$1: dumped again it is the same, byte for byte"
	exits 0 "$1: sound" check "$work/again" --deep
	"$COPPICE" export "$store" --quiet >"$work/now"
	"$COPPICE" export "$work/again" --quiet | cmp -s "$work/now" -
	ok $? "$1: and has the same now"
}

# ---- by hand

fresh 3
put()
{
	"$COPPICE" import "$store" - --format ndjson --quiet
}
put <<END
{"key":"a","type":"T","tags":["x","y"],"p":1,"vector":[1,2,3]}
{"key":"b","content":"hello","vector":[1,2,4]}
{"key":"c"}
{"source":"a","relation":"r","target":"b","w":1}
{"source":"b","relation":"r","target":"a","discriminator":3}
END
echo '{"key":"a","type":"U","p":2}' | put
echo '{"key":"b","content":"hello","vector":[9,9,9]}' | put
run retain "$store" --history 90d
put <<END
{"key":"d","vector":[0,0,1]}
{"source":"d","relation":"s","target":"a","valid_from":"2001"}
END
run delete "$store" c
run delete "$store" b
echo '{"key":"b","q":[1,{"a":null}]}' | put
echo '{"key":"a","type":"U","p":2,"vector":null}' | put
history "$store" "$work/seen"
is "$(cat "$work/seen")" '{"commit":1}
{"key":"a","type":"T","tags":["x","y"],"properties":{"p":1},"content":null,"vector":[1,2,3]}
{"key":"b","type":null,"tags":[],"properties":{},"content":"hello","vector":[1,2,4]}
{"key":"c","type":null,"tags":[],"properties":{},"content":null,"vector":null}
{"source":"a","relation":"r","target":"b","properties":{"w":1}}
{"source":"b","relation":"r","target":"a","discriminator":3,"properties":{}}
{"commit":2}
{"key":"a","type":"U","tags":[],"properties":{"p":2},"content":null}
{"commit":3}
{"set":{"key":"b","vector":[9,9,9]}}
{"commit":4}
{"key":"d","type":null,"tags":[],"properties":{},"content":null,"vector":[0,0,1]}
{"source":"d","relation":"s","target":"a","valid_from":"2001-01-01T00:00:00Z","properties":{}}
{"commit":5}
{"delete":{"key":"c"}}
{"commit":6}
{"delete":{"source":"a","relation":"r","target":"b"}}
{"delete":{"source":"b","relation":"r","target":"a","discriminator":3}}
{"delete":{"key":"b"}}
{"commit":7}
{"key":"b","type":null,"tags":[],"properties":{"q":[1,{"a":null}]},"content":null,"vector":null}
{"commit":8}
{"set":{"key":"a","vector":null}}' 'a dump has what each commit changed'
again 'a small history'
run history "$work/again" b --json
is "$(wc -l <"$work/out")" 2 'versions are there again'

# ---- at random

seed=${COPPICE_SEED:-$$}
diag "COPPICE_SEED=$seed"
perl -e 'srand $ARGV[0];
	for my $commit (1 .. 80) {
		print qq({"commit":$commit}\n{"key":"tick","n":$commit}\n);
		for (0 .. rand 12) {
			my ($k, $l, $n) = map { int rand 20 } 1 .. 3;
			my $kind = rand 10;
			if ($kind < 4) {
				my $vector = rand(3) < 1 ? "" :
					rand(4) < 1 ? qq(,"vector":null) :
					qq(,"vector":[1$k,$l,$n]);
				print qq({"key":"k$k","type":"T$n","tags":["t$l"],"n":$n$vector}\n)
			} elsif ($kind < 5) {
				print qq({"delete":{"key":"k$k"}}\n)
			} elsif ($kind < 8) {
				print qq({"source":"k$k","relation":"r","target":"k$l","w":$n}\n)
			} elsif ($kind < 9) {
				print qq({"delete":{"source":"k$k","relation":"r","target":"k$l"}}\n)
			} else {
				print qq({"source":"k$k","relation":"q","target":"k$l","discriminator":$n,"valid_to":"1999"}\n)
			}
		}
	}' "$seed" >"$work/random"
fresh 3
exits 0 'a random history' import "$store" "$work/random" --dangling stub
again 'a random history'
wrong=
last=$(grep -c '^{"commit"' "$work/dump")
for commit in $(seq 1 "$last"); do
	"$COPPICE" export "$store" --as-of "$commit" --quiet >"$work/now"
	"$COPPICE" export "$work/again" --as-of "$commit" --quiet |
		cmp -s "$work/now" - || wrong="$wrong $commit"
done
is "$wrong" '' "as of each of $last commits it is the same"

# ---- a history of which the beginning is gone

run retain "$store" --history 1s
sleep 1.2
echo '{"key":"k1","n":1}' | put
run compact "$store"
echo '{"key":"k2","n":2}' | put
again 'what is left of a history'
[ "$(grep -c '^{"commit"' "$work/dump")" -lt "$last" ]
ok $? 'it begins with all that there was then'

# ---- killed on the way

perl -e 'for my $commit (1 .. 300) {
		print qq({"commit":$commit}\n);
		print qq({"key":"k$_","n":$commit}\n) for 1 .. 40;
		print qq({"delete":{"key":"k), $commit % 40 + 1, qq("}}\n)
	}' >"$work/long"
fresh 3
run import "$store" "$work/long"
history "$store" "$work/whole"
at=0.1
for try in 1 2 3 4 5 6 7 8; do
	fresh 3
	"$COPPICE" import "$store" "$work/long" --quiet 2>/dev/null &
	pid=$!
	sleep $at
	kill -KILL $pid 2>/dev/null
	wait $pid 2>/dev/null
	killed=$?
	"$COPPICE" stat "$store" | grep -q '^mark .*import:' && break
	[ $killed = 0 ] && by=0.6 || by=1.5
	at=$(echo "$at $by" | awk '{print $1 * $2}')
done
is $killed 137 'an import of a history is killed'
exits 0 'and goes on' import "$store" "$work/long" --resume
like "$err" '*goes on after*' 'from where it was'
history "$store" "$work/resumed"
cmp -s "$work/whole" "$work/resumed"
ok $? 'with the same history'

# ---- what does not go together

exits 2 'of csv' export "$store" --history --format csv --output "$work/x"
exits 2 'of a part' export "$store" --history --tag t
exits 2 'as of a commit' export "$store" --history --as-of 3
exits 7 'a history and --on-conflict' import "$store" "$work/dump" \
	--on-conflict merge
like "$err" '*a dump with history is put as it is*' 'are told apart'
fresh 3
echo '{"delete":{"key":"a"}}' >"$work/alone"
exits 7 'a record that deletes, without a history' import "$store" "$work/alone"
like "$err" '*alone:1: "set" and "delete" are of a dump with history, where {"commit":N} comes before*' \
	'and this is what is wrong with it'
# order NUMBER PATTERN: the second commit of a dump, refused
order()
{
	printf '{"commit":%s}\n' 5 "$1" | sed '1a {"key":"a"}' >"$work/order"
	exits 7 "commit $1 after 5" import "$store" "$work/order" --skip-bad
	like "$err" "coppice: $work/order:3: $2; nothing was imported" 'is refused, and where'
}
order 3 'commit 3 comes after 5; *'
order 5 'commit 5 comes after 5; *'
order 18446744073709551616 'commit 18446744073709551616 comes after 5; *'
printf '{"commit":}\n' >"$work/order"
exits 7 'a commit without a number' import "$store" "$work/order"
history "$store" "$work/none"
is "$(cat "$work/none")" '' 'an empty store has no history'
done_testing
