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
exits 7 'a tag for nobody' tag "$store" nobody --tag z
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

exits 7 'undelete who never was' undelete "$store" nobody
exits 0 'undelete' undelete "$store" a
is "$out" 5 'is commit 5'
exits 0 'get' get "$store" a --edges --vector
like "$out" '*topic:x, z, topic:q*31*1,0*knows b*' 'all is back'
exits 0 'undelete again' undelete "$store" a
is "$out" 5 'is none'
exits 0 'delete again' delete "$store" a
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
done_testing
