#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_watch: the verb `watch`, the change feed.
. "$(dirname "$0")/tap.sh"

put()
{
	"$COPPICE" put "$1" >/dev/null
}

# Waits until a file has so many lines.
lines()
{
	tries=0
	until [ "$(wc -l <"$1")" -ge "$2" ] || [ $tries -gt 400 ]; do
		tries=$((tries + 1))
		sleep 0.05
	done
}

without_time()
{
	sed 's/"time":"[^"]*",//'
}

exits 0 'init' init "$store" --dim 2
exits 0 'nothing has been committed' watch "$store" --since 0 --no-wait
is "$out" '' 'and nothing is told'
put "$store" <<-'END'
	{"key":"a","type":"t","tags":["x"],"vector":[1,0]}
	{"key":"b"}
	{"source":"a","relation":"r","target":"b","properties":{"n":1}}
END
exits 0 'what was before' watch "$store" --since 0 --no-wait
json "$work/out"
ok $? 'is told as objects'
is "$(without_time <"$work/out")" '{"commit":1,"op":"put","what":"entity","key":"a","new":true}
{"commit":1,"op":"put","what":"vector","key":"a","new":true}
{"commit":1,"op":"put","what":"edge","source":"a","relation":"r","target":"b","new":true}
{"commit":1,"op":"put","what":"entity","key":"b","new":true}
{"commit":1,"op":"commit","changes":4}' 'that end with the commit'
exits 0 'the values, too' watch "$store" --since 0 --no-wait --values
json "$work/out"
ok $? 'are objects'
like "$out" '*"entity":{"key":"a","type":"t","tags":\["x"\],*"vector":\[1,0\]}*"edge":{*"n":1}}}*' \
	'as get prints them'

# Live: by other processes, while one sleeps.
"$COPPICE" watch "$store" >"$work/live" 2>"$work/live.err" &
live=$!
"$COPPICE" watch "$store" --since 1 --count 2 >"$work/two" &
two=$!
tries=0
until "$COPPICE" readers "$store" --all | grep -q "$live" || [ $tries -gt 200 ]; do
	tries=$((tries + 1))
	sleep 0.05
done
exits 1 'who waits holds no read open' readers "$store"
exits 0 'tag' tag "$store" b --tag y
exits 0 'delete' delete "$store" a
wait $two
is $? 0 'a watch ends after the commits asked for'
is "$(without_time <"$work/two")" '{"commit":2,"op":"put","what":"entity","key":"b","new":false}
{"commit":2,"op":"commit","changes":1}
{"commit":3,"op":"delete","what":"entity","key":"a"}
{"commit":3,"op":"delete","what":"vector","key":"a"}
{"commit":3,"op":"delete","what":"edge","source":"a","relation":"r","target":"b"}
{"commit":3,"op":"commit","changes":3}' 'and told them as they came'
lines "$work/live" 6
exits 0 'compact' compact "$store"
echo '{"key":"c","type":"u"}' | put "$store"
lines "$work/live" 8
kill -TERM $live
wait $live
is $? 0 'SIGTERM ends a watch'
is "$(sed -n 's/.*"commit":\([0-9]*\).*"op":"commit".*/\1/p' "$work/live" | tr '\n' ' ')" \
	'2 3 4 ' 'that went on through a compaction'
is "$(cat "$work/live.err")" '' 'with nothing else said'

# What is selected.
exits 0 'by type' watch "$store" --since 0 --no-wait --type t
is "$(without_time <"$work/out" | grep -c '"key":"b"')" 0 'others are left out'
like "$out" '*"delete","what":"entity","key":"a"*' 'who went was of the type'
like "$out" '*"commit":2*"changes":0}*' 'commits end all the same'
exits 0 'by tag and key' watch "$store" --since 0 --no-wait --tag y --prefix b
is "$(grep -c '"key":"b"' <"$work/out")" 1 'from when it has the tag'
exits 0 'a range' watch "$store" --since 1 --until 2
is "$(wc -l <"$work/out")" 2 'ends by itself'
exits 2 'a commit to come' watch "$store" --since 99
exits 2 'no count' watch "$store" --count 0

# A pipe that nobody reads any more.
"$COPPICE" watch "$store" --since 0 | head -n 1 >/dev/null
ok $? 'a closed pipe ends it'

# Segment and control file built anew.
exits 0 'detach' detach "$store"
exits 0 'and watch' watch "$store" --since 3 --no-wait
is "$(wc -l <"$work/out")" 2 'what the store has it tells'

# Without history: whose it was is known for a while, what it was is not.
exits 0 'init without history' init "$work/none" --history none
for i in 1 2 3; do echo "{\"key\":\"k$i\"}" | put "$work/none"; done
exits 0 'watch' watch "$work/none" --since 1 --no-wait
is "$(without_time <"$work/out")" '{"commit":2,"op":"touch","key":"k2"}
{"commit":2,"op":"commit","changes":1}
{"commit":3,"op":"touch","key":"k3"}
{"commit":3,"op":"commit","changes":1}' 'says who was touched'
for i in 1 2 3; do
	echo "{\"key\":\"k$i\",\"content\":\"$i\"}" | put "$work/none"
	exits 0 'checkpoint' checkpoint "$work/none"
done
echo '{"key":"k4"}' | put "$work/none"
exits 1 'what is kept no more' watch "$work/none" --since 1 --no-wait
like "$err" '*not kept any more*scan*--since 7*' 'is said, with what to do'
exits 0 'help' help watch
like "$out" '*--no-wait*' 'knows its options'
done_testing
