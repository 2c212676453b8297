#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_keys: a key may be any bytes.  For people those that are no UTF-8 become
# question marks; as JSON they are told in hex, and nothing is lost.
. "$(dirname "$0")/tap.sh"

odd=$(printf 'k\377\n\001"')
other=$(printf 'k\376')
hex=6bff0a0122
exits 0 'a store' init "$store" --dim 2 --metric l2
printf '%s\n' '{"key":"plain","vector":[1,0]}' \
	"{\"key\":\"k\",\"key_hex\":\"$hex\",\"type\":\"T\",\"vector\":[1,1]}" \
	'{"key":"","key_hex":"6BFE","vector":[2,2]}' \
	"{\"source\":\"k\",\"source_hex\":\"$hex\",\"relation\":\"r\",\"target\":\"k\",\"target_hex\":\"6bfe\"}" \
	"{\"source\":\"plain\",\"relation\":\"r\",\"target\":\"x\",\"target_hex\":\"$hex\"}" \
	>"$work/in"
exits 0 'keys are read in hex' import "$store" "$work/in" --format ndjson -q
exits 0 'by its bytes it is found' get "$store" "$odd"
like "$out" 'k? ?"*' 'for people with question marks'
exits 0 'so is the other' get "$store" "$other" --json
is "$(field key_hex <"$work/out")" 6bfe 'and told in hex'
exits 1 'what stood beside it is no key' get "$store" k
exits 0 'one that is UTF-8' get "$store" plain --json
is "$(field key_hex <"$work/out")" null 'needs no hex'

# tells WHAT ARG...: a verb's JSON has the key's bytes as that member
tells()
{
	member=$1
	shift
	run "$@"
	grep -q "\"$member\":\"$hex\"" "$work/out" && json "$work/out"
	ok $? "$1 tells $member"
}
tells key_hex get "$store" "$odd" --json
tells source_hex get "$store" "$odd" --json --edges
tells target_hex get "$store" "$odd" --json --edges
tells key_hex scan "$store"
tells source_hex scan "$store" --edges
tells target_hex scan "$store" --edges
tells key_hex search "$store" --like plain --json
tells key_hex walk "$store" plain --json
tells from_hex walk "$store" "$odd" --json
tells key_hex path "$store" plain "$other" --json
tells key_hex neighbors "$store" plain --json
tells key_hex history "$store" "$odd" --json
tells key_hex diff "$store" 0 --json
tells target_hex diff "$store" 0 --json
tells key_hex watch "$store" --since 0 --no-wait
tells source_hex watch "$store" --since 0 --no-wait
tells target_hex watch "$store" --since 0 --no-wait --values
printf '%s\n' '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"neighbors","arguments":{"key":"plain","hops":2}}}' |
	"$COPPICE" mcp "$store" >"$work/out"
grep -q "key_hex[^,]*$hex" "$work/out"
ok $? 'mcp tells key_hex'

exits 0 'without history' init "$work/none" --history none --dim 2
exits 0 'the same' import "$work/none" "$work/in" --format ndjson -q
tells key_hex watch "$work/none" --since 0 --no-wait

# A copy by its lines is one, at a live store: one reads, one writes.
mkfifo "$work/hold"
"$COPPICE" watch "$store" >"$work/watched" &
reader=$!
"$COPPICE" put "$store" --each <"$work/hold" >"$work/written" &
exec 4>"$work/hold"
exits 0 'a copy' init "$work/copy" --dim 2 --metric l2
"$COPPICE" scan "$store" --vector --edges >"$work/lines"
exits 0 'of its lines' import "$work/copy" "$work/lines" --format ndjson -q
"$COPPICE" scan "$work/copy" --vector --edges >"$work/again"
cmp -s "$work/lines" "$work/again"
ok $? 'has the same lines'
exits 0 'and the key' get "$work/copy" "$odd"
echo "{\"key\":\"late\",\"key_hex\":\"${hex}00\"}" >&4
exec 4>&-
i=0
until grep -q "${hex}00" "$work/watched" || [ $i -gt 200 ]; do
	i=$((i + 1))
	sleep 0.05
done
grep -q "\"key_hex\":\"${hex}00\"" "$work/watched"
ok $? 'who watches is told of one that comes'
kill -TERM "$reader"
wait

# refused NAME LINE: as a line it is bad input
refused()
{
	echo "$2" | "$COPPICE" put "$store" >/dev/null 2>"$work/err"
	is "$?" 7 "put refuses $1"
	like "$(cat "$work/err")" '*_hex" is not bytes in hex*' 'and says why'
}
refused 'half a byte' '{"key":"x","key_hex":"fff"}'
refused 'what is no digit' '{"key":"x","key_hex":"fg"}'
refused 'a number' '{"key":"x","key_hex":12}'
refused 'such a source' '{"source":"x","source_hex":"?!","relation":"r","target":"x"}'
echo '{"key":"x","key_hex":""}' | "$COPPICE" put "$store" 2>/dev/null
is "$?" 7 'no bytes are no key'
echo '{"key":"x","key_hex":null,"properties":{"key_hex":"p"}}' |
	"$COPPICE" put "$store" >/dev/null
is "$?" 0 'null is none, and a property may be called so'
exits 0 'nothing is found by check' check "$store"
done_testing
