#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_basic: every verb once, its output and its exit status.
. "$(dirname "$0")/tap.sh"

# ---- without a store

exits 2 'no verb is a usage error'
exits 0 'help lists the verbs' help
like "$out" '*import*search*walk*' 'the list names them'
"$COPPICE" help | sed -n 's/^  \(.\{12\}\).*/\1/p' | sed 's/ *$//' >"$work/verbs"
while read -r verb; do
	# shellcheck disable=SC2086 # two words are two operands
	exits 0 "help $verb" help $verb
	like "$out" "usage: coppice $verb *" "the help of $verb is of $verb"
	exits 0 "$verb --help" $verb --help
done <"$work/verbs"
exits 0 '--version' --version
like "$out" 'coppice [0-9]*.[0-9]*' 'it is a number'
exits 2 'an unknown verb is a usage error' serach "$store"
like "$err" '*coppice search*' 'the nearest one is suggested'
exits 2 'an unknown option is a usage error' stat "$store" --nope
like "$err" '*coppice help stat*' 'the help is pointed to'
exits 2 'no store named is a usage error' stat
exits 3 'a store that is not there' stat "$store"
[ "$(printf '%s' "$err" | wc -l)" = 0 ]
ok $? 'the message is one line'

# ---- init

exits 2 'a folder in one that is not there' init "$work/none/store"
like "$err" '*make that first' 'which is to be made first'
exits 2 'a dimension out of range' init "$store" --dim 5000
exits 2 'a dimension of 1' init "$store" --dim 1
exits 2 'a metric that there is not' init "$store" --dim 3 --metric hamming
exits 2 'a mode without the owner' init "$store" --dim 3 --mode 0060
exits 2 'a group that there is not' init "$store" --dim 3 --group no-such-grp
exits 2 'a cache too small' init "$store" --dim 3 --cache 63K
exits 2 'a cache too large' init "$store" --dim 3 --cache 2T
exits 2 'a cache of no size' init "$store" --dim 3 --cache 64MB
exits 2 'a cache of more than can be counted' \
	init "$store" --dim 3 --cache 99999999999999999999
exits 2 'a time to live that is none' init "$store" --cache 1M --cache-ttl -1
exits 2 'a time to live without a cache' init "$store" --cache-ttl 5
[ ! -e "$store" ]
ok $? 'nothing was made'
exits 0 'init' init "$store" --dim 3 --metric cosine
is "$out" '' 'init prints nothing on stdout'
exits 2 'init where a store is' init "$store" --dim 3

"$COPPICE" init "$work/kept" --dim 3 --cache 256K --cache-ttl 0.5 \
	--cache-idle 10 || echo "Bail out! no store"
is "$("$COPPICE" stat "$work/kept" --json | field cache_bytes)" 262016 \
	'a cache takes up no more than it may'
is "$("$COPPICE" stat "$work/kept" --json | field cache_entries)" 0 \
	'and is empty'
like "$("$COPPICE" stat "$work/kept")" '*cache of results *255.9 KiB*' \
	'it is in the figures'

# ---- put

cat >"$work/in" <<'END'
{"key":"a","type":"Letter","name":"Aleph","tags":["first","vowel"],"n":1,"x":1.0,"content":"the first of them","vector":[1,0,0]}
{"key":"b","type":"Letter","properties":{"name":"Beth","deep":{"list":[1,2.5,"s",null,true]}},"vector":[0.9,0.1,0]}
{"id":3,"type":"Number","vector":[0,-0.0,1]}
{"source":"a","relation":"next","target":"b","properties":{"weight":0.5}}
{"source":"b","type":"next","target":3,"since":"1999"}
END
run put "$store" <"$work/in"
is "$status" 0 'put takes NDJSON from stdin'
is "$out" 1 'it prints the commit number, alone'

# ---- get

exits 0 'get as JSON' get "$store" a --json
is "$out" '{"key":"a","type":"Letter","tags":["first","vowel"],"properties":{"name":"Aleph","n":1,"x":1.0},"content":"the first of them"}' \
	'an entity as import reads it: 1 stays whole, 1.0 stays real'
exits 0 'get --vector' get "$store" b --json --vector
is "$out" '{"key":"b","type":"Letter","tags":[],"properties":{"name":"Beth","deep":{"list":[1,2.5,"s",null,true]}},"content":null,"vector":[0.899999976,0.100000001,0]}' \
	'a float32 with the digits that bring it back'
exits 0 'get --edges' get "$store" b --json --edges
json "$work/out"
ok $? 'every line is JSON'
is "$(sed -n 2p "$work/out")" \
	'{"source":"b","relation":"next","target":"3","properties":{"since":"1999"}}' \
	'the edge that goes out'
is "$(sed -n 3p "$work/out")" \
	'{"source":"a","relation":"next","target":"b","properties":{"weight":0.5}}' \
	'the edge that comes in'
exits 0 'get for a person' get "$store" a 3 --edges
like "$out" '*a
*Letter*Aleph*the first*-> next b*Beth*3*Number*<- next b*' 'it tells all'
exits 1 'get of a key that is not there' get "$store" a nobody --json
is "$(field key <"$work/out")" a 'the others are printed all the same'
like "$err" "*'nobody'*" 'the one that is missing is named'

# ---- put --each

printf '%s\n' '{"key":"c"}' '{"key":"d"}' '{"source":"c","relation":"next","target":"d"}' |
	"$COPPICE" put "$store" --each >"$work/out" 2>"$work/err"
is "$(cat "$work/out")" '2
3
4' 'put --each prints a commit a line'
mkfifo "$work/to" "$work/from"
"$COPPICE" put "$store" --each <"$work/to" >"$work/from" 2>/dev/null &
exec 4>"$work/to" 5<"$work/from"
echo '{"key":"e"}' >&4
read -r commit <&5
is "$commit" 5 'the number comes before the next line is sent'
run get "$store" e
is "$status" 0 'by then another process sees the entity'
echo '{"key":"f"}' >&4
read -r commit <&5
is "$commit" 6 'and so for the second line'
exec 4>&- 5<&-
wait
printf '%s\n' '{"key":"g"}' 'not json' '{"key":"h"}' |
	"$COPPICE" put "$store" --each >"$work/out" 2>"$work/err"
is "$?" 7 'a bad line stops put --each with 7'
is "$(cat "$work/out")" 7 'the line before it is in'
like "$(cat "$work/err")" 'coppice: standard input:2: *' 'its number is said'
exits 1 'the line after it is not' get "$store" h

# ---- attached processes

mkfifo "$work/hold"
"$COPPICE" put "$store" --each <"$work/hold" >"$work/held" 2>/dev/null &
exec 4>"$work/hold"
echo '{"key":"held"}' >&4
i=0
until [ -s "$work/held" ] || [ $i -gt 200 ]; do
	i=$((i + 1))
	sleep 0.05
done
exits 5 'detach while a process is attached' detach "$store"
like "$err" 'coppice: ?*' 'says so'
exec 4>&-
wait
exits 0 'delete it' delete "$store" held
# The writer lock is the first byte of `lock`: who holds it makes others wait.
perl -MFcntl -e 'open my $f, "+<", "$ARGV[0]/lock" or die;
	my $lock = pack "s s x4 q q i x4", F_WRLCK, 0, 0, 1, 0;
	fcntl $f, F_SETLK, $lock or die;
	open my $to, ">", $ARGV[1]; print $to "x"; close $to;
	sleep 60' "$store" "$work/locked" &
pid=$!
i=0
until [ -s "$work/locked" ] || [ $i -gt 100 ]; do
	i=$((i + 1))
	sleep 0.05
done
exits 5 'a writer lock that is not had in time: 5' delete "$store" a --timeout 0.2
kill "$pid"
wait

"$COPPICE" init "$work/if" || echo "Bail out! no store"
put_if() { printf '{"key":"k","n":%d}\n' "$1" | "$COPPICE" put "$work/if" "$2" 2>"$work/err"; }
is "$(put_if 1 --if-absent)" 1 'put --if-absent puts what is absent'
put_if 2 --if-absent
is $? 1 'and not what is there: status 1'
grep -q ":1: the entity 'k' is there already" "$work/err"
ok $? 'and says which line'
is "$(put_if 3 --if-version=1)" 2 'put --if-version puts that version'
"$COPPICE" get "$work/if" k --json --versions | grep -q '"version":2}$'
ok $? 'get --versions says which one that is'
put_if 4 --if-version=1
is $? 1 'and no other'
is "$("$COPPICE" get "$work/if" k --json | grep -c '"n":3')" 1 \
	'what was refused left no trace'
is "$(put_if 5 --lazy)" 3 'put --lazy commits'

"$COPPICE" init "$work/four" || echo "Bail out! no store"
for n in 1 2 3 4; do
	perl -e 'print qq({"key":"$ARGV[0]-$_"}\n) for 1 .. 50' "$n" |
		"$COPPICE" put "$work/four" --each >"$work/four.$n" 2>&1 &
done
wait
is "$(cat "$work"/four.? | wc -l)" 200 \
	'four processes that put at once: 200 acknowledgements'
is "$("$COPPICE" stat "$work/four" --json | field entities)" 200 \
	'and 200 entities, however few commits they shared'
is "$(sort -n "$work/four.1" | cat)" "$(cat "$work/four.1")" \
	'the commit numbers of each never go back'
is "$("$COPPICE" scan "$work/four" | wc -l)" 200 'and 200 entities'

# ---- a store whose files go away under a writer

"$COPPICE" init "$work/gone" || echo "Bail out! no store"
for n in 1 2 3; do
	echo "{\"key\":\"$n\"}"
	sleep 0.2
	[ "$n" != 1 ] || mv "$work/gone/lock" "$work/lock"
done | timeout 20 "$COPPICE" put "$work/gone" --each >"$work/out" 2>"$work/err"
is $? 3 'a store whose files go away under a writer: the next commit says so'
grep -q 'was moved or replaced' "$work/err"
ok $? 'in words'
mv "$work/lock" "$work/gone/lock"
"$COPPICE" detach "$work/gone"

# ---- delete

exits 0 'delete an edge' delete "$store" --edge c next d
is "$out" 10 'delete prints the commit number'
exits 1 'delete an edge again' delete "$store" --edge c next d
is "$out" '' 'there is no commit to print'
exits 0 'delete entities' delete "$store" c d e f g
exits 1 'delete what is not there' delete "$store" c
exits 2 'delete --edge wants three words' delete "$store" --edge a next

# ---- search

exits 0 'search --like' search "$store" --like a -k 5 --json
is "$(wc -l <"$work/out")" 2 'it leaves the key itself out'
is "$(field key <"$work/out")" b 'the nearest comes first'
is "$(field rank <"$work/out")" 1 'ranks are counted from 1'
is "$(field label <"$work/out")" Beth 'the label is the name'
json "$work/out"
ok $? 'hits are JSON'
exits 0 'search for a person' search "$store" --like a
like "$out" '1	*	b	Beth*2	*	3*' 'rank, distance, key, label'
echo '[0, 0, 1]' >"$work/v.json"
exits 0 'a vector as a JSON list' search "$store" --vector "$work/v.json" -k 1 --json
is "$(field key <"$work/out")" 3 'finds the entity that has it'
is "$(field distance <"$work/out")" 0 'at distance 0'
echo ' 0 0	1 ' | "$COPPICE" search "$store" --vector - -k 1 >"$work/out"
like "$(cat "$work/out")" '1	0	3' 'bare numbers on stdin'
perl -e 'print pack("L<f<3L<f<3", 3, 0, 0, 1, 3, 1, 0, 0)' >"$work/q.fvecs"
exits 0 'search --queries' search "$store" --queries "$work/q.fvecs" -k 2 --threads 2
is "$(cut -f 1-3 "$work/out")" '0	1	3
0	2	b
1	1	a
1	2	b' 'query, rank, key'
exits 0 '--queries as JSON' search "$store" --queries "$work/q.fvecs" -k 1 --json
json "$work/out"
ok $? 'hits are JSON'
is "$(tail -n 1 "$work/out" | field query)" 1 'they name the query'
exits 7 'many rows are not one vector' search "$store" --vector "$work/q.fvecs"
exits 0 '--type' search "$store" --like a --type Number --json
is "$(field key <"$work/out")" 3 'only of that type'
exits 0 '--tag' search "$store" --vector "$work/v.json" --tag vowel --json
is "$(field key <"$work/out")" a 'only with that tag'
exits 1 '--threshold' search "$store" --like a --threshold 0.0001
exits 0 '--exact' search "$store" --like a --exact
exits 1 'a type never seen is no hit' search "$store" --like a --type Nope
like "$err" "*warning*type 'Nope'*" 'and a warning'
exits 1 'a tag never seen is no hit' search "$store" --like a --tag nope
like "$err" "*warning*tag 'nope'*" 'and a warning'
exits 1 'no such entity' search "$store" --like nobody
exits 2 'no query' search "$store"
exits 2 'two queries' search "$store" --like a --vector "$work/v.json"
exits 2 'k of 0' search "$store" --like a -k 0

# ---- walk

exits 0 'walk' walk "$store" a --hops 2
is "$out" 'a	Aleph
  next -> b	Beth
    next -> 3' 'a tree with the relations'
exits 0 'walk --direction in' walk "$store" 3 --direction in --hops 64 --json
json "$work/out"
ok $? 'steps are JSON'
is "$(tail -n 1 "$work/out" | field key)" a 'it goes against the edges'
is "$(tail -n 1 "$work/out" | field from)" b 'and says from where'
is "$(tail -n 1 "$work/out" | field direction)" in 'and which way'
exits 0 'walk --relation' walk "$store" b --relation next --direction both --json
is "$(wc -l <"$work/out")" 3 'both ways'
exits 0 'walk --limit' walk "$store" a --hops 2 --limit 2 --json
is "$(wc -l <"$work/out")" 2 'is cut off'
like "$err" '*more*' 'and says so'
exits 2 'a relation never seen' walk "$store" a --relation nxet
like "$err" '*next*' 'those that there are are named'
exits 1 'no such entity' walk "$store" nobody
exits 2 'a direction that there is not' walk "$store" a --direction up
exits 2 'too many hops' walk "$store" a --hops 65

# ---- neighbors

exits 0 'neighbors' neighbors "$store" b
is "$out" 'next -> 3
next <- a	Aleph' 'both ways'
exits 0 'neighbors --count' neighbors "$store" b --direction in --count
is "$out" 1 'a number'
exits 0 'neighbors --json' neighbors "$store" b --direction out --json
json "$work/out"
ok $? 'edges are JSON'
is "$(field key <"$work/out")" 3 'with the other end'
exits 0 'neighbors --limit' neighbors "$store" b --limit 1
like "$err" '*there are 2*' 'says how many there are'
exits 1 'none' neighbors "$store" 3 --direction out
exits 1 'of nobody' neighbors "$store" nobody
exits 2 'a relation never seen' neighbors "$store" b --relation nxet
exits 2 'a number that is cut off' neighbors "$store" b --count --limit 3

# ---- path

exits 0 'path' path "$store" a 3
is "$out" 'a	Aleph
next -> b	Beth
next -> 3' 'from the one to the other'
exits 1 'there is none back' path "$store" 3 a
exits 0 'but against the edges' path "$store" 3 a --direction in --json
json "$work/out"
ok $? 'steps are JSON'
is "$(wc -l <"$work/out")" 3 'of three entities'
is "$(tail -n 1 "$work/out" | field key)" a 'and the last is the other end'
exits 1 'over fewer edges there is none' path "$store" a 3 --hops 1
exits 0 'to oneself' path "$store" a a
exits 1 'to nobody' path "$store" a nobody
like "$err" "*no entity 'nobody'*" 'who is named'
exits 2 'a relation never seen' path "$store" a 3 --relation nxet
exits 2 'one end alone' path "$store" a

# ---- stat, scan

exits 0 'stat' stat "$store"
like "$out" '*entities*3*edges*2*vectors*3*' 'figures for a person'
exits 0 'stat --json' stat "$store" --json
json "$work/out"
ok $? 'it is JSON'
is "$(field schema <"$work/out")" coppice.stat/1 'with a schema'
is "$(field entities <"$work/out")" 3 'entities'
is "$(field edges <"$work/out")" 2 'edges'
is "$(field vectors <"$work/out")" 3 'vectors'
is "$(field metric <"$work/out")" cosine 'metric'
exits 0 'scan' scan "$store" --vector --edges
json "$work/out"
ok $? 'it is JSON'
cp "$work/out" "$work/all"
exits 0 'a second store' init "$work/copy" --dim 3
exits 0 'import what scan printed' import "$work/copy" "$work/all"
exits 0 'scan that' scan "$work/copy" --vector --edges
cmp -s "$work/out" "$work/all"
ok $? 'a store scanned and imported is the same store'
exits 0 'scan --type' scan "$store" --type Letter --limit 1
is "$(wc -l <"$work/out")" 1 'type and limit'
exits 1 'scan of a tag never seen' scan "$store" --tag nope

# ---- the store from the environment, quiet output, closed pipes

COPPICE_STORE=$store
export COPPICE_STORE
exits 0 'COPPICE_STORE' get a --json
is "$(field key <"$work/out")" a 'the first operand is then a key'
exits 0 'for a verb without operands' stat --json
exits 0 'a store named wins' get "$work/copy" b
exits 0 'the same for walk' walk "$work/copy" a
unset COPPICE_STORE
exits 0 '--store' get --store "$store" a
exits 1 '-q' get "$store" -q nobody
is "$err" '' 'says nothing'
i=0
while [ $i -lt 3000 ]; do
	i=$((i + 1))
	echo "{\"key\":\"many-$i\",\"content\":\"some words that fill a pipe\"}"
done | "$COPPICE" put "$work/copy" >/dev/null
"$COPPICE" scan "$work/copy" 2>"$work/err" | head -n 1 >/dev/null
is "$(cat "$work/err")" '' 'a closed pipe is quiet'
if [ -w /dev/full ]; then
	"$COPPICE" scan "$work/copy" >/dev/full 2>"$work/err"
	is "$?" 6 'a full disk behind stdout is not'
else
	skip 'no /dev/full' 'a full disk behind stdout'
fi

# ---- a store without vectors

exits 0 'init without a dimension' init "$work/plain"
echo '{"key":"k"}' | "$COPPICE" put "$work/plain" >/dev/null
is "$?" 0 'put'
echo '{"key":"k","vector":[1,2]}' | "$COPPICE" put "$work/plain" 2>/dev/null
is "$?" 7 'a vector is refused'
exits 1 'a search finds none' search "$work/plain" --like k

# ---- compact

exits 0 'compact' compact "$store"
like "$out" 'disk *now*shared *now*commits waited*' 'says what became of the bytes'
exits 0 'compact once more' compact "$store" --json
is "$(printf '%s' "$out" | field generation)" 3 'the third generation'
exits 0 'the store is whole' check "$store"

# ---- detach

exits 0 'detach' detach "$store"
exits 0 'the next process builds the segment anew' search "$store" --like a -k 1
like "$out" '1	*	b	Beth' 'and finds the same'
exits 0 'detach once more' detach "$store"
exits 0 'detach what is detached' detach "$store"
exits 3 'detach no store' detach "$work/none"

# ---- the command's own names

if command -v nm >/dev/null && [ -d "${COPPICE_BUILD:-build/release}/tools" ]; then
	build=${COPPICE_BUILD:-build/release}
	nm -g --defined-only "$build"/tools/*.o 2>/dev/null |
		awk 'NF == 3 { print $3 }' | sort -u >"$work/ours"
	nm -g --defined-only "$build"/libcoppice.a 2>/dev/null |
		awk 'NF == 3 { print $3 }' | sort -u >"$work/theirs"
	is "$(comm -12 "$work/ours" "$work/theirs" | grep -v '^__')" '' \
		'no symbol of the command is one of the library'
else
	skip 'no nm or no build folder' 'symbols of command and library'
fi
done_testing
