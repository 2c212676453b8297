#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_trace: the verbs `trace`, `slow` and `locks`.
. "$(dirname "$0")/tap.sh"

put()
{
	echo "$1" | "$COPPICE" put "$store" >/dev/null
}

exits 0 'init' init "$store" --dim 2
put '{"key":"a","vector":[1,0]}'
exits 0 'what is traced' trace "$store"
is "$out" off 'nothing, at first'
exits 2 'no such subject' trace "$store" commit,nope
exits 0 'and that sets nothing' trace "$store"
is "$out" off 'at all'
put '{"key":"a0"}'

exits 0 'which are traced, as JSON' trace "$store" --json
is "$out" '{"schema":"coppice.trace/1","subjects":[]}' 'none'
exits 0 'set, as JSON' trace "$store" commit,search --json
is "$out" '{"schema":"coppice.trace/1","subjects":["commit","search"]}' \
	'says which are traced then'
for word in commit,,search commit, ,commit ''; do
	exits 2 'a subject without a name' trace "$store" "$word"
	like "$err" "*no subject ''*" 'is none'
done
exits 0 'off' trace "$store" off

# One process follows, others are traced at once.
"$COPPICE" trace "$store" commit,search,walk --follow >"$work/trace" &
follower=$!
tries=0
until [ "$("$COPPICE" trace "$store")" = commit,search,walk ] || [ $tries -gt 200 ]; do
	tries=$((tries + 1))
	sleep 0.05
done
put '{"key":"b","vector":[0,1]}'
exits 0 'a search' search "$store" --like a
exits 0 'a walk' walk "$store" a --hops 1
tries=0
until grep -q ' walk ' "$work/trace" || [ $tries -gt 200 ]; do
	tries=$((tries + 1))
	sleep 0.05
done
kill -TERM $follower
wait $follower
is $? 0 'SIGTERM ends who follows'
is "$(grep -c ' commit ' "$work/trace")" 1 'the commit since is told, none before'
like "$(cat "$work/trace")" '*commit * coppice put (*commit 3 of 1 requests: done*' \
	'by whom, and how it went'
like "$(cat "$work/trace")" '*search *coppice search (*k 10, * hits*' 'a search, too'
exits 0 'as JSON' trace "$store" off
put '{"key":"c"}'
"$COPPICE" trace "$store" --follow --json 2>/dev/null | head -n 2 >"$work/json" &
wait $!
json "$work/json"
ok $? 'each event is an object'
is "$("$COPPICE" trace "$store")" off 'off is off'
is "$(grep -c '"commit 4' "$work/json")" 0 'and nothing is told then'

# All kinds of searches and ways.  A line of .fvecs is its size and floats.
echo '{"source":"a","relation":"r","target":"b"}' |
	"$COPPICE" import "$store" - --format ndjson -q
"$COPPICE" trace "$store" search,walk --follow >"$work/trace" &
follower=$!
tries=0
until [ "$("$COPPICE" trace "$store")" = search,walk ] || [ $tries -gt 200 ]; do
	tries=$((tries + 1))
	sleep 0.05
done
printf '\002\0\0\0\0\0\200\077\0\0\0\0' >"$work/two.fvecs"
cat "$work/two.fvecs" "$work/two.fvecs" >"$work/four.fvecs"
exits 0 'a path' path "$store" a b
exits 0 'the cheapest' path "$store" a b --weight w
exits 0 'all paths' path "$store" a b --all --hops 3
exits 0 'many searches' search "$store" --queries "$work/four.fvecs" -k 1
exits 0 'a search with context' search "$store" --like a --context 1
tries=0
until grep -q 'with context' "$work/trace" || [ $tries -gt 200 ]; do
	tries=$((tries + 1))
	sleep 0.05
done
kill -TERM $follower
wait $follower
told=$(cat "$work/trace")
like "$told" '*walk * coppice path (*shortest path from * to *: 2 steps*' \
	'a path is told as a walk'
like "$told" '*cheapest path from * to *: 2 steps*' 'the cheapest, too'
like "$told" '*paths from * to * of up to 3 hops: 1*' 'and how many there are'
like "$told" '*search *coppice search (*2 searches of k 1, by 1 threads*' \
	'many searches are told together'
like "$told" '*with context: * hits, * steps*' 'and one with context as a whole'
exits 0 'no more of it' trace "$store" off

# What is slow.
exits 1 'nothing was slow' slow "$store"
exits 0 'a threshold' slow "$store" --threshold 0
put '{"key":"d"}'
exits 1 'zero is never' slow "$store"
exits 2 'none that is no number' slow "$store" --threshold soon
exits 0 'a millisecond' slow "$store" --threshold 1
i=0
while [ $i -lt 20000 ]; do
	echo "{\"key\":\"s$i\",\"vector\":[$i,1]}"
	i=$((i + 1))
done >"$work/many"
"$COPPICE" import "$store" "$work/many" --format ndjson -q
exits 0 'a large commit' slow "$store" --json
json "$work/out"
ok $? 'is told as an object'
like "$out" '*"subject":"commit"*"name":"coppice import"*' 'with who was slow'

# The lock.
exits 0 'locks' locks "$store"
like "$out" 'writer nobody*had*times*' 'nobody has it'
exits 0 'as JSON' locks "$store" --json
is "$(field held <"$work/out") $(field waiting <"$work/out")" 'false []' \
	'nobody waits'
exits 0 'help' help slow
like "$out" '*--threshold*' 'knows its options'
done_testing
