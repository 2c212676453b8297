#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_readers: the verb `readers`, as a table and as JSON.
. "$(dirname "$0")/tap.sh"

exits 0 'init' init "$store" --dim 2
exits 1 'nobody reads: status 1' readers "$store"
is "$out" '' 'and nothing is printed'
exits 3 'no store' readers "$work/none"
exits 2 'an unknown option' readers "$store" --nope

# A scan that is kept waiting on a pipe has a read open.
i=0
while [ $i -lt 3000 ]; do
	echo "{\"key\":\"k$i\",\"content\":\"some text to fill the pipe\"}"
	i=$((i + 1))
done >"$work/in"
run put "$store" <"$work/in"
is "$status" 0 'put'
mkfifo "$work/pipe"
"$COPPICE" scan "$store" --json >"$work/pipe" 2>/dev/null &
scan=$!
exec 3<"$work/pipe"
head -c 1 <&3 >/dev/null
tries=0
until "$COPPICE" readers "$store" >/dev/null || [ $tries -gt 200 ]; do
	tries=$((tries + 1))
	sleep 0.05
done
exits 0 'somebody reads' readers "$store"
like "$out" '*state*role*pid*thread*behind*name*' 'there is a heading'
like "$out" "*open*$scan*coppice scan*" 'a scan is listed by its name and pid'
echo '{"key":"later"}' >"$work/in"
run put "$store" <"$work/in"
exits 0 'as JSON' readers "$store" --json
like "$out" "{\"state\":\"open\",\"role\":*,\"name\":\"coppice scan\",\"pid\":$scan,*\"behind\":1,*" \
	'it is a commit behind'
printf '%s\n' "$out" >"$work/out"
json "$work/out"
ok $? 'each line is an object'
COPPICE_STALL_SECONDS=0 run readers "$store"
like "$out" '*stalled*coppice scan*' 'stalled, after a time that can be set'
exits 0 'the figures' stat "$store" --json
like "$out" '*"readers":2,"stalled":0,*' 'count it'
kill -STOP $scan
kill -KILL $scan
wait $scan 2>/dev/null
exec 3<&-
exits 1 'killed, its slot is taken by the next that needs one' readers "$store"
run put "$store" <"$work/in"
is "$status" 0 'and holds no commit up'
exits 0 'help' help readers
like "$out" '*--all*' 'knows --all'
done_testing
