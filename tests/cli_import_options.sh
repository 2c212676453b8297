#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_import_options: what becomes of an import's records: of bad ones, of those
# that are there already, and of all in a dry run; and how files are named.
. "$(dirname "$0")/tap.sh"

# holds ENTITIES EDGES VECTORS NAME
holds()
{
	is "$(figure entities) $(figure edges) $(figure vectors)" "$1 $2 $3" \
		"$4"
}

# member FILE LINE NAME: of an object of a file of them
member()
{
	sed -n "$2p" "$1" | field "$3"
}

# dump: all there is, in order
dump()
{
	"$COPPICE" export "$store" --vector
}

# ---- --max-bad

fresh
perl -e 'print qq({"key":"a$_"}\n{"key":$_.5}\n) for 1 .. 3' >"$work/three"
exits 0 'as many bad records as may be' import "$store" "$work/three" \
	--format ndjson --max-bad 3
like "$err" '*3 bad records were left out*' 'are left out'
holds 3 0 0 'the others are in'
fresh
exits 7 'one more' import "$store" "$work/three" --format ndjson --max-bad 2
like "$err" '*three:6: "key" is neither*nothing was imported*' \
	'ends the import as the first one would'
holds 0 0 0 'what was not committed is dropped'
exits 7 'none may be' import "$store" "$work/three" --format ndjson --max-bad 0
like "$err" '*three:2: *' 'the first one ends it'
exits 2 'a number that is none' import "$store" "$work/three" --max-bad few
printf '%s\n' '{"key":"a"}' '{"source":"a","relation":"r","target":"x"}' \
	'{"source":"y","relation":"r","target":"a"}' \
	'{"source":"a","relation":"r","target":""}' \
	'{"source":"a","relation":"r","target":"a"}' >"$work/dangling.ndjson"
exits 7 'an edge that dangles counts as one' import "$store" \
	"$work/dangling.ndjson" --max-bad 2
like "$err" "*dangling.ndjson:[34]: an edge's end*" 'and says which'
like "$err" '*2 edges were left out*' 'and how many there were'
exits 0 'with room for all' import "$store" "$work/dangling.ndjson" \
	--max-bad 3 --json
is "$(field edges_skipped <"$work/out")" 3 'they are left out'
holds 1 1 0 'and the other edge is in'
exits 0 'those that are to be skipped do not count' import "$store" \
	"$work/dangling.ndjson" --dangling skip --max-bad 0

# ---- --reject: what was refused, where, why, and its text

fresh
rejects=$work/rejects
# refuses FORMAT NAME LINE TEXT OPTION...: one record of a file of that text,
# $work/in, is refused, and its text is as it was
refuses()
{
	format=$1
	name=$2
	line=$3
	wanted=$4
	shift 4
	rm -f "$rejects"
	exits 0 "$name: a bad record among others" import "$store" "$work/in" \
		--format "$format" --reject "$rejects" --dangling stub "$@"
	json "$rejects"
	ok $? 'the file of what was refused is JSON'
	is "$(wc -l <"$rejects")" 1 'with one record'
	is "$(member "$rejects" 1 file) $(member "$rejects" 1 line)" \
		"$work/in $line" 'says where it was'
	is "$(member "$rejects" 1 record)" "$wanted" 'and has its text'
}

printf '{"key":"a"}\r\n{"key":"b","p":[}\r\n{"key":"c"}\r\n' >"$work/in"
refuses ndjson NDJSON 2 '{"key":"b","p":[}'
like "$(member "$rejects" 1 error)" 'no valid JSON at column*' 'and why'
printf '[{"key":"a"},\n {"key":2.5,\n  "x": 1},\n{"key":"c"}]' >"$work/in"
refuses json JSON 2 '{"key":2.5,
  "x": 1}'
printf 'key,n:int,text\nk1,1,"a ""b"""\nk2,x,"two\r\nlines, ""quoted"""\r\nk3,3,z\n' >"$work/in"
refuses csv CSV 3 "k2,x,\"two$(printf '\r')
lines, \"\"quoted\"\"\""
printf 'key,n:int\nk1,1\nk2,oops' >"$work/in"
refuses csv 'CSV without a last newline' 3 k2,oops
printf 'a\tb\nc\nd e\n' >"$work/in"
refuses edges edges 2 c
printf 'a\tr\tb\nc\tr\nd\tr\te\n' >"$work/in"
refuses triples triples 2 "c	r"
printf '<a:a> <a:b> "x" .\n<a:a> oops .\n<a:c> <a:b> "x" .\n' >"$work/in"
refuses nt N-Triples 2 '<a:a> oops .'
printf '{"key":"\377\000x"}\n{"key":"z"}\n' >"$work/bytes"
rm -f "$rejects"
exits 0 'a record that is no text' import "$store" "$work/bytes" \
	--format ndjson --reject "$rejects"
is "$(member "$rejects" 1 record_hex)" 7b226b6579223a22ff0078227d \
	'is there in hex'
is "$(member "$rejects" 1 record)" null 'alone'

perl -e 'print pack("(l<f<2)*", 2, 1, 0, 2, "nan", 0, 2, 0, 1)' >"$work/v.fvecs"
rm -f "$rejects"
exits 0 'a bad row of vectors' import "$store" "$work/v.fvecs" --reject "$rejects"
is "$(member "$rejects" 1 row) $(member "$rejects" 1 line)" '1 null' \
	'is told by its row'
is "$(member "$rejects" 1 record)" null 'and has no text'
cat >"$work/g.graphml" <<'END'
<graphml><key id="n" for="node" attr.name="n" attr.type="int"/>
<graph edgedefault="directed"><node id="a"/>
<node id="b"><data key="n">x</data></node>
<edge source="a" target="nowhere"/></graph></graphml>
END
rm -f "$rejects"
exits 0 'of GraphML' import "$store" "$work/g.graphml" --reject "$rejects"
is "$(member "$rejects" 1 line) $(member "$rejects" 2 line)" '3 4' \
	'the line of a node, and of an edge to nowhere'

# the text, mended, is what was missing
fresh
printf 'key,n:int\na,1\nb,2x\nc,3\nd,4x\n' >"$work/t.csv"
rm -f "$rejects"
exits 0 'a table with two bad records' import "$store" "$work/t.csv" \
	--reject "$rejects" -q
holds 2 0 0 'without them'
perl -MJSON::PP -ne 'my $r = decode_json($_)->{record}; $r =~ s/x//;
	print "$r\n"' "$rejects" >"$work/mended.csv"
exits 0 'imported when they are mended' import "$store" "$work/mended.csv" \
	--header "$work/t.csv"
holds 4 0 0 'it is all there'

# edges to nowhere
fresh
rm -f "$rejects"
exits 0 'edges to what is not there' import "$store" "$work/dangling.ndjson" \
	--reject "$rejects" --json
is "$(sed 's/.*"line":\([0-9]*\).*/\1/' "$rejects" | sort | tr '\n' ' ')" \
	'2 3 4 ' 'are refused'
like "$(grep '"line":3' "$rejects" | field error)" "*end 'y' is not there*" \
	'by name'
like "$(grep '"line":3' "$rejects" | field record)" '*"source":"y"*' \
	'with their text'
is "$(field edges_skipped <"$work/out") $(field bad <"$work/out")" '3 0' \
	'and counted as ever'
holds 1 1 0 'the other edge is in'
perl -e 'print qq({"source":"a$_","relation":"r","target":"a1"}\n{"key":"a$_"}\n)
	for 1 .. 500' >"$work/late.ndjson"
fresh
rm -f "$rejects"
exits 0 'over many commits' import "$store" "$work/late.ndjson" --batch 7 \
	--reject "$rejects" --json
is "$(wc -l <"$rejects") $(field edges_skipped <"$work/out")" '500 500' \
	'each of them'
holds 500 0 0 'and the entities are in'
exits 0 'with --dangling=skip' import "$store" "$work/dangling.ndjson" \
	--dangling skip --reject "$rejects"
is "$(wc -l <"$rejects")" 503 'they are, too, and the file is added to'

# the file
exits 7 'a record that ends the import' import "$store" "$work/three" \
	--format ndjson --max-bad 0 --reject "$rejects" -q
is "$(wc -l <"$rejects")" 504 'is refused, too'
cp "$work/dangling.ndjson" "$work/mine"
exits 2 'a file of another kind' import "$store" "$work/three" \
	--format ndjson --reject "$work/mine"
like "$err" '*has no refused records*name another file*' 'is not added to'
cmp -s "$work/mine" "$work/dangling.ndjson"
ok $? 'and stays as it is'
exits 2 'what is imported' import "$store" "$rejects" --format ndjson \
	--reject "$rejects"
like "$err" '*is imported*' 'is not written to'
exits 2 'a folder' import "$store" "$work/three" --reject "$work"
exits 2 'a file in a store' import "$store" "$work/three" --reject "$store/x"
exits 6 'a disk that is full' import "$store" "$work/three" --format ndjson \
	--reject /dev/full
holds 501 1 0 'nothing came of it'
rm -f "$rejects"
exits 0 'no bad record' import "$store" "$work/late.ndjson" --dangling stub \
	--reject "$rejects"
is "$(wc -c <"$rejects")" 0 'an empty file'

# ---- --dry-run

fresh
printf '%s\n' '{"key":"a","type":"T","vector":[1,0]}' '{"key":"b"}' \
	'{"source":"a","relation":"r","target":"b"}' '{"key":"a","p":1}' \
	>"$work/a.ndjson"
exits 0 'a dry run' import "$store" "$work/a.ndjson" --dry-run --json
json "$work/out"
ok $? 'its summary'
dry=$(for name in records entities_put edges_put vectors_put bad edges_skipped \
	stubs_put commits dry_run; do
	echo "$(field $name <"$work/out")"
done | tr '\n' ' ')
is "$dry" '4 3 1 1 0 0 0 0 true ' 'says what would be put'
holds 0 0 0 'nothing is'
is "$("$COPPICE" log "$store" --json | wc -l)" 0 'no commit was made'
exits 0 'in words' import "$store" "$work/a.ndjson" --dry-run
like "$err" 'dry run, nothing was put: 3 entities, 1 edge, 1 vector would be,*' \
	'that say so'
exits 0 'the import itself' import "$store" "$work/a.ndjson" --json
is "$(field entities_put <"$work/out") $(field edges_put <"$work/out")" '3 1' \
	'puts that'
exits 7 'a bad record' import "$store" "$work/three" --format ndjson --dry-run
like "$err" '*three:2: *nothing was imported' 'is found'
exits 0 'with --skip-bad' import "$store" "$work/three" --format ndjson \
	--dry-run --skip-bad --json
is "$(field bad <"$work/out")" 3 'all of them are'
exits 7 'a vector of another dimension' import "$store" - --dry-run <<'END'
{"key":"a","vector":[1,2,3]}
END
head -3 "$work/dangling.ndjson" >"$work/nowhere.ndjson"
exits 7 'an edge to nowhere' import "$store" "$work/nowhere.ndjson" --dry-run
like "$err" "*nowhere.ndjson:2: an edge's end 'x' is not there*" 'is found'
exits 0 'or left out' import "$store" "$work/dangling.ndjson" --dry-run \
	--dangling skip --json
is "$(field edges_skipped <"$work/out") $(field edges_put <"$work/out")" '3 1' \
	'and counted'
exits 0 'or given a stub' import "$store" "$work/a.ndjson" "$work/late.ndjson" \
	--dry-run --dangling stub --batch 3 --json
is "$(field stubs_put <"$work/out") $(field entities_put <"$work/out")" \
	'500 503' 'as an import would'
perl -e 'print qq({"key":"n$_"}\n) for 1 .. 100;
	print qq({"source":"n$_","relation":"r","target":"n1"}\n) for 1 .. 100' \
	>"$work/n.ndjson"
exits 0 'edges to what came before, in other commits' import "$store" \
	"$work/n.ndjson" --dry-run --batch 7
exits 0 'with --atomic' import "$store" "$work/n.ndjson" --dry-run --atomic
printf 'n1\nn2\nnone\n' >"$work/keys"
exits 7 'vectors of entities that are not there' import "$store" \
	"$work/n.ndjson" "$work/v.fvecs" --dry-run
perl -e 'print pack("(l<f<2)*", 2, 1, 0, 2, 1, 1, 2, 0, 1)' >"$work/w.fvecs"
exits 7 'vectors with keys' import "$store" "$work/w.fvecs" --ids "$work/keys" \
	--dry-run
like "$err" "*w.fvecs: row 0: key 'n1': there is no such entity*" 'are looked up'
exits 0 'rows without' import "$store" "$work/w.fvecs" --dry-run --json
is "$(field vectors_put <"$work/out") $(field entities_put <"$work/out")" \
	'3 3' 'would be put'
for file in "$work/t.csv" "$work/g.graphml"; do
	exits 0 "a dry run of ${file##*/}" import "$store" "$file" --dry-run \
		--skip-bad
done
printf '<a:a> <a:b> "x" .\n<a:a> <a:r> <a:c> .\n' >"$work/f.nt"
exits 0 'a dry run of triples' import "$store" "$work/f.nt" --dry-run --json
is "$(field records <"$work/out") $(field stubs_put <"$work/out")" '2 1' \
	'counts them, and their stubs'
holds 2 1 1 'nothing was put by any'
exits 3 'without a store' import "$work/nowhere" "$work/a.ndjson" --dry-run \
	--reject "$work/none"
[ ! -e "$work/none" ]
ok $? 'no file is made'

# ---- --on-conflict

# state KEY: an entity as it is, without its version
state()
{
	"$COPPICE" get "$store" "$1" --vector --json | perl -MJSON::PP -e '
		my $e = decode_json(join "", <STDIN>);
		my $j = JSON::PP->new->canonical;
		print join " ", map { "$_=" . (ref $e->{$_} ?
			$j->encode($e->{$_}) : $e->{$_}) }
			grep { defined $e->{$_} && $_ !~ /^(version|commit|id)$/ }
			sort keys %$e'
}
cat >"$work/old.ndjson" <<'END'
{"key":"a","type":"Old","tags":["one","two"],"properties":{"p":1,"q":{"r":[1,2]}},"content":"old","vector":[1,0]}
{"key":"b","type":"Old"}
{"source":"a","relation":"r","target":"b","properties":{"w":1,"v":2}}
END
cat >"$work/new.ndjson" <<'END'
{"key":"a","tags":["two","three"],"properties":{"p":2,"s":true}}
{"key":"c","type":"New"}
{"source":"a","relation":"r","target":"b","properties":{"w":5,"u":6}}
{"source":"a","relation":"r","target":"c"}
END
# again MODE STATUS NAME: the new ones on top of the old
again()
{
	fresh
	run import "$store" "$work/old.ndjson" -q
	exits "$2" "$3" import "$store" "$work/new.ndjson" --on-conflict "$1" \
		--type Default --json
}
again replace 0 'replacing'
is "$(state a)" 'key=a properties={"p":2,"s":true} tags=["three","two"] type=Default vector=[1,0]' \
	'takes the record, and keeps the vector'
holds 3 2 1 'all are there'
again merge 0 'merging'
is "$(state a)" 'content=old key=a properties={"p":2,"q":{"r":[1,2]},"s":true} tags=["one","three","two"] type=Old vector=[1,0]' \
	'has what both have, the record first'
is "$("$COPPICE" export "$store" | grep '"target":"b"' | field properties)" \
	'{"u":6,"v":2,"w":5}' 'of an edge, too'
is "$(field merged <"$work/out") $(field skipped <"$work/out")" '2 0' \
	'is counted'
holds 3 2 1 'and what is new is put'
is "$(state c)" 'key=c properties={} tags=[] type=New' 'as it is'
again skip 0 'leaving what is there'
is "$(state a)" 'content=old key=a properties={"p":1,"q":{"r":[1,2]}} tags=["one","two"] type=Old vector=[1,0]' \
	'leaves it'
is "$("$COPPICE" export "$store" | grep '"target":"b"' | field properties)" \
	'{"v":2,"w":1}' 'an edge, too'
is "$(field skipped <"$work/out") $(field entities_put <"$work/out") $(field edges_put <"$work/out")" \
	'2 1 1' 'and counts it'
holds 3 2 1 'what is new is put'
again error 7 'refusing'
like "$err" "*new.ndjson:1: the entity 'a' is there already; nothing was imported" \
	'names the record'
holds 2 1 1 'and puts nothing'
rm -f "$rejects"
exits 0 'with --reject' import "$store" "$work/new.ndjson" --on-conflict error \
	--reject "$rejects" --json
is "$(member "$rejects" 1 line) $(member "$rejects" 2 line)" '1 3' \
	'those records are refused'
is "$(member "$rejects" 2 error)" "the edge 'a' r 'b' is there already" \
	'an edge by its ends'
is "$(field bad <"$work/out") $(field records <"$work/out")" '2 2' 'as bad ones'
holds 3 2 1 'and the others put'

# within one import, in one commit or in several
for batch in 1 2 3 100; do
	for mode in replace error skip merge; do
		fresh
		cat "$work/old.ndjson" "$work/new.ndjson" "$work/new.ndjson" \
			>"$work/both.ndjson"
		run import "$store" "$work/both.ndjson" --batch $batch \
			--on-conflict $mode --max-bad 100 --type Default
		dump >"$work/together"
		again $mode "$([ $mode = error ] && echo 7 || echo 0)" \
			"$mode, batches of $batch"
		run import "$store" "$work/new.ndjson" --on-conflict $mode \
			--max-bad 100 --type Default
		dump | cmp -s - "$work/together"
		ok $? 'is as one import after the other'
	done
done

# merging what is given
fresh
exits 0 'first' import "$store" - --format ndjson <<'END'
{"key":"a","vector":[1,0],"content":"x","timed":[{"tag":"t","valid_from":"1900","valid_to":"1950"},{"property":"p","value":1,"valid_from":"1900","valid_to":"1950"},{"property":"k","value":1,"valid_to":"1950"}]}
{"source":"a","relation":"r","target":"a","valid_from":"1900"}
END
exits 0 'then' import "$store" - --format ndjson --on-conflict merge <<'END'
{"key":"a","type":"T","vector":null,"content":"y","timed":[{"tag":"t","valid_from":"1960","valid_to":"1970"},{"property":"p","value":2,"valid_from":"1960","valid_to":"1970"}]}
{"source":"a","relation":"r","target":"a","x":1}
END
is "$(state a)" 'content=y key=a properties={} tags=[] timed=[{"tag":"t","valid_from":"1900-01-01T00:00:00Z","valid_to":"1950-01-01T00:00:00Z"},{"tag":"t","valid_from":"1960-01-01T00:00:00Z","valid_to":"1970-01-01T00:00:00Z"},{"property":"k","valid_to":"1950-01-01T00:00:00Z","value":1},{"property":"p","valid_from":"1960-01-01T00:00:00Z","valid_to":"1970-01-01T00:00:00Z","value":2}] type=T' \
	'times, content, type and the vector are merged'
like "$("$COPPICE" export "$store" | grep source)" '*"valid_from":"1900*' \
	'an edge stays valid when it was'

# edges told apart
printf ':START_ID,:END_ID,:TYPE,w:int\na,b,r,1\na,b,r,2\n' >"$work/parallel.csv"
fresh
exits 0 'parallel edges' import "$store" "$work/parallel.csv" --dangling stub \
	--on-conflict error
holds 2 2 0 'are two'
exits 7 'once more' import "$store" "$work/parallel.csv" --on-conflict error
like "$err" '*parallel.csv:2: the edge*' 'are there already'
exits 0 'once more' import "$store" "$work/parallel.csv" --on-conflict skip --json
is "$(field skipped <"$work/out")" 2 'both'

# stubs
fresh
echo '{"source":"x","relation":"r","target":"y"}' >"$work/xy.edges"
printf '%s\n' '{"key":"x","type":"T"}' '{"key":"y","p":1}' >"$work/xy.ndjson"
for batch in 1 100; do
	for mode in error skip merge; do
		fresh
		exits 0 "$mode: entities after edges to them" import "$store" \
			"$work/xy.edges" "$work/xy.ndjson" --dangling stub \
			--on-conflict $mode --batch $batch --format ndjson
		is "$(state x)" 'key=x properties={} tags=[] type=T' \
			'a stub gives way'
	done
done

# vectors
fresh
run import "$store" - --format ndjson <<'END'
{"key":"0","type":"T","vector":[0,5]}
{"key":"1","type":"T"}
END
exits 0 'vectors where some are' import "$store" "$work/w.fvecs" \
	--on-conflict skip --json
is "$(field skipped <"$work/out") $(field vectors_put <"$work/out")" '1 2' \
	'are left out'
is "$(state 0)" 'key=0 properties={} tags=[] type=T vector=[0,5]' 'and stay'
is "$(state 1)" 'key=1 properties={} tags=[] type=T vector=[1,1]' \
	'an entity without one gets it'
holds 3 0 3 'and one that is not there is made'
exits 7 'or refused' import "$store" "$work/w.fvecs" --on-conflict error
like "$err" "*row 0: a vector of '0' is there already*" 'by row'
exits 0 'or replaced' import "$store" "$work/w.fvecs" --on-conflict merge
is "$(state 0)" 'key=0 properties={} tags=[] type=T vector=[1,0]' \
	'with all else as it was'
printf 'w 1 2\nw 3 4\n' >"$work/words"
exits 0 'a word twice' import "$store" "$work/words" --format glove \
	--on-conflict skip --json
is "$(field skipped <"$work/out") $(field vectors_put <"$work/out")" '1 1' \
	'is put once'

# GraphML puts a node before what is in it, and once more with the rest
cat >"$work/nested.graphml" <<'END'
<graphml><key id="n" for="node" attr.name="n" attr.type="int"/>
<graph edgedefault="directed"><node id="a"><graph><node id="b"/></graph>
<data key="n">7</data></node></graph></graphml>
END
for batch in 1 100; do
	for mode in error skip merge; do
		fresh
		exits 0 "$mode: a node around a node" import "$store" \
			"$work/nested.graphml" --on-conflict $mode \
			--batch $batch --json
		is "$(state a)" 'key=a properties={"n":7} tags=[]' \
			'is not in its own way'
		is "$(field merged <"$work/out")" 0 'nor merged with itself'
	done
	run import "$store" "$work/a.ndjson" -q
	exits 0 'one that is there' import "$store" "$work/nested.graphml" \
		--on-conflict skip --batch $batch
	is "$(state a)" 'key=a properties={"p":1} tags=[] vector=[1,0]' \
		'stays as it is'
done
exits 2 'triples add to what is there' import "$store" "$work/f.nt" \
	--on-conflict skip
like "$err" '*f.nt is nt, which adds to what is there*' 'and say so'
exits 0 'which merging does' import "$store" "$work/f.nt" --on-conflict merge
fresh
run import "$store" "$work/old.ndjson" -q
exits 0 'a dry run that leaves out' import "$store" "$work/both.ndjson" \
	--on-conflict skip --dry-run --json --batch 2
is "$(field skipped <"$work/out")" 9 'counts what would be'

# all_end: $bad is 1 if one of $pids fails
all_end()
{
	bad=0
	for pid in $pids; do
		wait "$pid" || bad=1
	done
}

# beside others who put the same: each key is put once, whoever is first
fresh
perl -e 'print qq({"key":"k$_","n":0}\n) for 1 .. 3000' >"$work/k.ndjson"
pids=
for i in 1 2 3 4; do
	"$COPPICE" import "$store" "$work/k.ndjson" --on-conflict skip \
		--batch 50 --json >"$work/out.$i" 2>"$work/err.$i" &
	pids="$pids $!"
done
all_end
is "$bad" 0 'four imports of the same at once, leaving out what is there'
total=0
for i in 1 2 3 4; do
	total=$((total + $(field entities_put <"$work/out.$i")))
done
is "$total" 3000 'put each entity once'
pids=
for i in 1 2 3 4; do
	perl -e 'print qq({"key":"k$_","p$ARGV[0]":1}\n) for 1 .. 3000' $i \
		>"$work/m$i.ndjson"
	"$COPPICE" import "$store" "$work/m$i.ndjson" --on-conflict merge \
		--batch 50 >"$work/out.$i" 2>"$work/err.$i" &
	pids="$pids $!"
done
all_end
is "$bad" 0 'four that merge'
is "$("$COPPICE" export "$store" | grep -c '"n":0.*"p1":1\|"p1":1.*"n":0')" \
	3000 'lose nothing'
is "$("$COPPICE" scan "$store" --json | perl -MJSON::PP -ne '
	my $p = decode_json($_)->{properties};
	$n++ if keys %$p == 5; END { print $n }')" 3000 'of one another'

# ---- files by patterns

mkdir "$work/set" "$work/set/folder"
for i in 3 1 2; do
	echo "{\"key\":\"f$i\"}" >"$work/set/part-$i.ndjson"
done
echo '{"source":"f1","relation":"r","target":"f3"}' >"$work/set/z.ndjson"
fresh
exits 0 'a pattern in quotes' import "$store" "$work/set/*.ndjson" --batch 1
holds 3 1 0 'is all files that match, in order'
exits 7 'one that nothing matches' import "$store" "$work/set/*.csv"
like "$err" "*no file is called, and none matches, '$work/set/\*.csv'*" \
	'says so'
echo '{"key":"star"}' >"$work/set/part-*.ndjson"
exits 0 'a file of that very name' import "$store" "$work/set/part-*.ndjson" \
	--json
is "$(field records <"$work/out")" 1 'is that file'
rm "$work/set/part-*.ndjson"
exits 7 'a folder' import "$store" "$work/set/part-1.ndjson" "$work/set/folder"
like "$err" "*folder: is a folder, not a file; name the files in it*" \
	'is refused in words'
fresh
exits 7 'one that matches' import "$store" "$work/set/*"
holds 0 0 0 'before anything is put'
exits 7 'no access to it' import "$store" "$work/set/none.ndjson"
printf 'key,n:int\n' >"$work/set/names.csv"
printf 'n1,1\n' >"$work/set/n1.csv"
printf 'n2,2\n' >"$work/set/n2.csv"
exits 0 'a pattern behind a header' import "$store" \
	"$work/set/names.csv,$work/set/n[12].csv"
holds 2 0 0 'is files with those columns'
printf '0\n' >"$work/keys"
exits 2 'several files of vectors' import "$store" "$work/set/n[12].csv" \
	--ids "$work/keys"
exits 2 'files that are imported and written to' import "$store" \
	"$work/set/names.csv,$rejects" --reject "$rejects"

# ---- what it takes

exits 0 'progress' import "$store" "$work/set/*.ndjson" --progress=always --json
[ "$(field peak_bytes <"$work/out")" -gt 1000000 ]
ok $? 'the summary has the memory that it took'
mkfifo "$work/slow"
"$COPPICE" import "$store" - --format ndjson --progress=always <"$work/slow" \
	2>"$work/err" &
pid=$!
exec 4>"$work/slow"
i=0
until grep -q memory "$work/err" || [ $i -gt 200 ]; do
	i=$((i + 1))
	echo '{"key":"slow"}' >&4
	sleep 0.05
done
exec 4>&-
wait "$pid"
like "$(head -1 "$work/err")" '* records  */s  * memory' \
	'the line of progress, too'

done_testing
