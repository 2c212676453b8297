#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_history: what the command says of the past, of tags and of counts.
. "$(dirname "$0")/tap.sh"

# Numbers of one name, of each line.
fields()
{
	sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" | tr '\n' ' '
}

exits 0 'init' init "$store" --dim 2
cat >"$work/in" <<-'END'
	{"key":"a","type":"person","tags":["topic:x","y"],"properties":{"name":"Ann","age":30},"vector":[1,0]}
	{"key":"b","properties":{"name":"Bob"},"vector":[0,1]}
	{"source":"a","relation":"knows","target":"b","properties":{"w":1}}
END
"$COPPICE" put "$store" <"$work/in" >"$work/out"
is "$(cat "$work/out")" 1 'commit 1'
echo '{"key":"a","type":"person","tags":["topic:x"],"properties":{"name":"Ann","age":31}}' |
	"$COPPICE" put "$store" >"$work/out"
is "$(cat "$work/out")" 2 'commit 2'
exits 0 'tag two entities' tag "$store" a b --tag z --tag topic:q
is "$out" 3 'is commit 3'
exits 0 'a tag that they have' tag "$store" a b --tag z
is "$out" 3 'is none'
exits 2 'no tag' tag "$store" a
exits 1 'a tag for nobody' tag "$store" nobody --tag z
exits 0 'delete' delete "$store" a
is "$out" 4 'is commit 4'

# ---- moments

exits 0 'get as of 1' get "$store" a --as-of 1 --json
like "$out" '*"y"*"age":30*' 'is what was put first'
exits 0 'get as of 3, with edges' get "$store" a --as-of 3 --edges --vector
like "$out" '*topic:x, z, topic:q*31*1,0*knows b*' 'is what it was last'
exits 1 'get as of 4' get "$store" a --as-of 4
exits 1 'get as of 0' get "$store" b --as-of 0
exits 2 'a commit to come' get "$store" b --as-of 5
exits 2 'no moment' get "$store" b --as-of yesterday
exits 2 'no such day' get "$store" b --as-of 2026-02-30
exits 2 'before the store' get "$store" b --as-of 1999-12-31
exits 0 'a time to come' get "$store" b --as-of 2199-01-01T00:00:00.5+02:00
exits 0 'a moment ago' get "$store" b --as-of 0s
exits 0 'neighbors as of 1' neighbors "$store" a --as-of 1
like "$out" 'knows -> b*' 'are those of then'
exits 0 'walk as of 1' walk "$store" b --direction in --as-of 1
like "$out" '*knows <- a*' 'goes where it went then'
exits 0 'path as of 1' path "$store" a b --as-of 1
exits 0 'search as of 1' search "$store" --like b --as-of 1 --json
like "$out" '*"key":"a"*' 'finds what was there'
exits 1 'search now' search "$store" --like b
exits 0 'scan as of 2' scan "$store" --as-of 2 --no-tag y --type person
like "$out" '*"key":"a"*31*' 'has whom it had'
exits 0 'stat as of 1' stat "$store" --as-of 1 --json
is "$(field entities <"$work/out") $(field edges <"$work/out")" '2 1' \
	'counts what there was'

# ---- history

exits 0 'log' log "$store" --json
is "$(fields commit <"$work/out")" '4 3 2 1 ' 'has all commits'
json "$work/out"
ok $? 'as JSON'
exits 0 'log for people' log "$store" --limit 1
like "$out" '4 *1 entities*' 'the newest first'
exits 0 'a time of the log' log "$store" --json
time=$(sed -n 's/.*"commit":2,"time":"\([^"]*\)".*/\1/p' "$work/out")
exits 0 'get as of it' get "$store" a --as-of "$time" --json --versions
like "$out" '*"version":2*' 'is as of its commit'
exits 0 'history of what is gone' history "$store" a --json
json "$work/out"
ok $? 'is JSON'
is "$(fields born <"$work/out")" '3 2 1 ' 'with all versions'
is "$(fields died <"$work/out")" '4 3 2 ' 'and their ends'
exits 0 'history for people' history "$store" a --limit 1
like "$out" 'commit 3, *until 4, *  type *person*' 'the last one first'
exits 0 'history of an edge' history "$store" a knows b
like "$out" 'commit 1, *until 4*w *1*' 'has its properties'
exits 1 'history of what never was' history "$store" nobody
exits 2 'two words' history "$store" a knows
exits 0 'diff from the beginning' diff "$store" 0 1
is "$out" "+ a
+ a vector
+ a knows -> b
+ b
+ b vector" 'is all that was put'
exits 0 'diff to the newest' diff "$store" 1
is "$out" "- a
- a vector
- a knows -> b
~ b" 'is what went and changed'
exits 0 'as JSON' diff "$store" 1 4 --json
json "$work/out"
ok $? 'it is'
exits 1 'no difference' diff "$store" 4 4
exits 2 'backwards' diff "$store" 4 1

# ---- undelete

exits 1 'undelete who never was' undelete "$store" nobody
exits 0 'undelete' undelete "$store" a
is "$out" 5 'is commit 5'
exits 0 'get' get "$store" a --edges --vector
like "$out" '*topic:x, z, topic:q*31*1,0*knows b*' 'all is back'
exits 0 'undelete again' undelete "$store" a
is "$out" 5 'is none'
exits 0 'delete again' delete "$store" a
exits 1 'undelete as of nothing' undelete "$store" a --as-of 0
exits 0 'undelete as of 1' undelete "$store" a --as-of 1
exits 0 'get' get "$store" a --json
like "$out" '*"y"*"age":30*' 'is as it was then'

# ---- tags and counts

exits 0 'untag' untag "$store" a --tag y
exits 0 'count' count "$store"
is "$out" 2 'all'
exits 0 'count by tag' count "$store" --by tag --json
is "$out" '{"count":1,"value":"topic:q"}
{"count":1,"value":"topic:x"}
{"count":1,"value":"z"}' 'has those in use'
exits 0 'by prefix' count "$store" --by tag --prefix topic:
like "$out" '*topic:q*topic:x' 'those of a topic'
exits 0 'as of 1' count "$store" --by tag --as-of 1
like "$out" '*topic:x*1  y' 'those of then'
exits 0 'by type' count "$store" --by type
like "$out" '*1  person' 'one has one'
exits 0 'by relation' count "$store" --by relation
like "$out" '*1  knows' 'one edge'
exits 0 'by a property' count "$store" --by age --json
is "$out" '{"count":1,"value":30}' 'its values'
exits 1 'by one that nobody has' count "$store" --by nothing
like "$err" "*no entity * has a property 'nothing'" 'is said'
exits 0 'of some' count "$store" --by name --tag z
like "$out" '*1  Bob' 'those of some'
exits 2 'names of some' count "$store" --by tag --type person
exits 0 'any of two tags' count "$store" --any-tag topic:x --any-tag z
is "$out" 2 'have one of them'
exits 0 'both' count "$store" --tag topic:x --tag z
is "$out" 0 'has nobody'
exits 0 'check' check "$store"
is "$out" '' 'finds nothing'

# ---- stores that keep less

exits 2 'a history of nothing' init "$work/store0" --history often
exits 0 'without history' init "$work/store1" --history none
for i in 1 2; do
	echo "{\"key\":\"a\",\"properties\":{\"n\":$i}}" |
		"$COPPICE" put "$work/store1" >"$work/out"
done
exits 2 'as of before' get "$work/store1" a --as-of 1
like "$err" '*history is kept from commit 2*' 'is refused'
exits 0 'with 0.01 s of it' init "$work/store2" --history 0.01s
for i in 1 2 3; do
	echo "{\"key\":\"a\",\"properties\":{\"n\":$i}}" |
		"$COPPICE" put "$work/store2" >"$work/out"
	sleep 0.05
done
exits 2 'what is older' get "$work/store2" a --as-of 1
exits 0 'check' check "$work/store2"

# ---- rules of types

exits 0 'a store' init "$work/store3" --history all --history-count 5
exits 0 'retain' retain "$work/store3"
like "$out" 'store *all, 5 versions' 'says how long'
exits 0 'for a type' retain "$work/store3" --type log --count 1 --history 7d
is "$out" 1 'is a commit'
exits 0 'retain --json' retain "$work/store3" --json
is "$out" '{"type":null,"history":"all","count":5}
{"type":"log","history":"7d","count":1}' 'has both'
for i in 1 2 3 4; do
	printf '{"key":"l","type":"log","properties":{"n":%d}}\n' $i |
		"$COPPICE" put "$work/store3" >"$work/out"
	printf '{"key":"d","type":"doc","properties":{"n":%d}}\n' $i |
		"$COPPICE" put "$work/store3" >"$work/out"
done
exits 0 'before compaction' get "$work/store3" l --as-of 2
exits 0 'compact' compact "$work/store3"
exits 2 'after it' get "$work/store3" l --as-of 2
exits 0 'what is kept' get "$work/store3" l --as-of 7
exits 0 'of another type' get "$work/store3" d --as-of 3
exits 0 'check' check "$work/store3"
exits 2 'a type alone' retain "$work/store3" --type log
exits 2 'no time' retain "$work/store3" --history soon

# ---- validities

exits 0 'a store' init "$work/store4"
cat >"$work/in" <<-'END'
	{"key":"uk"}
	{"key":"pitt"}
	{"source":"pitt","relation":"leads","target":"uk","valid_from":"1783-12-19","valid_to":"1801-03-14"}
	{"source":"pitt","relation":"leads","target":"uk","discriminator":1,"valid_from":"1804-05-10","valid_to":"1806-01-23"}
	{"source":"pitt","relation":"lives_in","target":"uk","valid_to":-5000000000000000000}
END
exits 0 'import' import "$work/store4" "$work/in" --format ndjson
exits 0 'any time' neighbors "$work/store4" pitt --count
is "$out" 3 'has all edges'
exits 0 'in 1790' neighbors "$work/store4" pitt --count --valid-at 1790
is "$out" 2 'has two'
exits 0 'in 1802' neighbors "$work/store4" uk --count --valid-at 1802-06
is "$out" 1 'has one'
exits 0 'in the year -44' neighbors "$work/store4" uk --count --valid-at=-44
is "$out" 1 'has one, since ever'
exits 1 'today' neighbors "$work/store4" uk --valid-at 0s
exits 2 'no time' neighbors "$work/store4" uk --valid-at once
exits 0 'scan' scan "$work/store4" --edges
"$COPPICE" init "$work/store5"
"$COPPICE" import -q "$work/store5" "$work/out" --format ndjson >"$work/imported"
is "$("$COPPICE" scan "$work/store5" --edges)" "$out" 'is a copy'
printf 'source,type,target,valid_from,valid_to\npitt,eats,uk,360,\n' |
	"$COPPICE" import -q "$work/store4" - --format csv >"$work/imported"
exits 0 'from csv' scan "$work/store4" --edges
like "$out" '*"eats"*"valid_from":"0360-01-01T00:00:00Z","properties"*' \
	'a year of three digits'
printf 'source,type,target,discriminator\npitt,sees,uk,\npitt,sees,uk,4\n' |
	"$COPPICE" import -q "$work/store4" - --format csv >"$work/imported"
exits 0 'two of them' neighbors "$work/store4" pitt --relation sees --count
is "$out" 2 'are two'
exits 0 'one goes' delete "$work/store4" --edge pitt sees uk --discriminator 4
exits 0 'its history' history "$work/store4" pitt sees uk --discriminator 4
like "$out" '*until*' 'says until when'
printf 'source,type,target,discriminator\npitt,sees,uk,x\n' >"$work/in"
exits 7 'no number in csv' import "$work/store4" "$work/in" --format csv
printf 'source,type,target,valid_from\npitt,eats,uk,often\n' >"$work/in"
exits 7 'no time in csv' import "$work/store4" "$work/in" --format csv
echo '{"source":"pitt","relation":"a","target":"uk","valid_from":"2","valid_to":"1"}' >"$work/in"
exits 7 'ends before it begins' import "$work/store4" "$work/in" --format ndjson
exits 0 'check' check "$work/store4"
is "$out" '' 'finds nothing'

# ---- paths, walks, context

exits 0 'a store' init "$work/store6" --dim 2
cat >"$work/in" <<-'END'
	{"key":"a","type":"town","vector":[0,1]}
	{"key":"b","type":"town","vector":[1,0]}
	{"key":"c","type":"farm","vector":[1,1]}
	{"source":"a","relation":"road","target":"b","properties":{"km":9}}
	{"source":"a","relation":"road","target":"c","properties":{"km":2.5}}
	{"source":"c","relation":"road","target":"b","properties":{"km":3}}
END
exits 0 'import' import "$work/store6" "$work/in" --format ndjson
exits 0 'the shortest path' path "$work/store6" a b
is "$(printf '%s\n' "$out" | wc -l)" 2 'has two entities'
exits 0 'the cheapest' path "$work/store6" a b --weight km
is "$(printf '%s\n' "$out" | wc -l)" 3 'has three'
like "$err" '*cost: 5.5' 'and costs 5.5'
exits 0 'all' path "$work/store6" a b --all --hops 2
like "$out" 'a*b*
*a*c*b*' 'are two'
exits 2 'all of any length' path "$work/store6" a b --all
exits 2 'a weight and hops' path "$work/store6" a b --weight km --hops 2
exits 0 'a walk to towns' walk "$work/store6" a --hops all --type town
is "$(printf '%s\n' "$out" | wc -l)" 2 'finds one'
exits 0 'a search with context' search "$work/store6" --like a -k 1 --context 1
like "$out" '1*c*road -> b*road <- a' 'brings its edges'
exits 0 'as JSON' search "$work/store6" --like a -k 2 --context 2 --json
json "$work/out"
ok $? 'is JSON'

# ---- tags and properties with times

cat >"$work/timed" <<-'END'
	{"key":"rome","tags":["city"],"properties":{"name":"Rome"},"timed":[{"tag":"capital","valid_from":"-27","valid_to":"330"},{"tag":"capital","valid_from":"1871"},{"property":"ruler","value":"Augustus","valid_from":"-27","valid_to":"14"},{"property":"ruler","value":"Tiberius","valid_from":"14","valid_to":"37"}]}
END
exits 0 'an entity with times' put "$store" <"$work/timed"
exits 0 'get --json' get "$store" rome --json
like "$out" '*"timed":*' 'shows them'
cp "$work/out" "$work/shown"
exits 0 'what it shows' put "$store" <"$work/shown"
exits 0 'reads' get "$store" rome --json
cmp -s "$work/out" "$work/shown"
ok $? 'as the same again'
exits 0 'get' get "$store" rome
like "$out" '*capital (*to 0330*), capital (1871*on)*ruler*Augustus (*' \
	'says when'
exits 0 'get at a time' get "$store" rome --valid-at 20 --json
like "$out" '*"tags":\["capital","city"\]*"ruler":"Tiberius"*' \
	'has what was so then'
exits 0 'get at another' get "$store" rome --valid-at 1000 --json
like "$out" '*"tags":\["city"\]*{"name":"Rome"}*' 'has none of them'
exits 0 'scan by a tag at a time' scan "$store" --tag capital --valid-at 300
like "$out" '*rome*' 'finds who has it then'
exits 1 'scan by it at another' scan "$store" --tag capital --valid-at 400
exits 0 'count by tag at a time' count "$store" --by tag --valid-at 1000 \
	--prefix city
like "$out" '*1*city*' 'counts'
exits 1 'count by another' count "$store" --by tag --valid-at 1000 \
	--prefix capital
is "$out" '' 'which nobody has then'
exits 0 'a tag for a time' tag "$store" rome --tag free \
	--valid-from 1944-06-04 --valid-to 2000
exits 0 'before that' scan "$store" --tag city --no-tag free --valid-at 1944
like "$out" '*rome*' 'it has not that tag'
exits 1 'after that' scan "$store" --tag city --no-tag free \
	--valid-at 1944-06-04
exits 2 'a tag of no time' tag "$store" rome --tag x --valid-from soon
exits 2 'a tag that ends before it begins' tag "$store" rome --tag x \
	--valid-from 2000 --valid-to 1999
like "$err" 'coppice: valid_from, 2000-01-01T00:00:00Z, is not before valid_to, 1999-01-01T00:00:00Z' 'and told why'
exits 7 'a time that is none' put "$store" <<-'END'
	{"key":"x","timed":[{"tag":"a","valid_from":"never"}]}
END
exits 7 'neither tag nor property' put "$store" <<-'END'
	{"key":"x","timed":[{"valid_from":"2000"}]}
END
exits 7 'a property twice at once' put "$store" <<-'END'
	{"key":"x","timed":[{"property":"p","value":1},{"property":"p","value":2,"valid_from":"2000"}]}
END
exits 7 'times that are no list' put "$store" <<-'END'
	{"key":"x","timed":5}
END
exits 0 'the store is whole' check "$store"
done_testing
