#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_import: files into the store: formats, faults, commits.
. "$(dirname "$0")/tap.sh"

# holds ENTITIES EDGES VECTORS NAME
holds()
{
	is "$(figure entities) $(figure edges) $(figure vectors)" "$1 $2 $3" \
		"$4"
}

# ---- NDJSON

fresh
printf '\357\273\277{"key":"a","type":"T","vector":[1,0]}\r\n\r\n   \n{"id":7,"extra":[1,{"x":null}]}\r\n{"source":"a","relation":"r","target":7}\r\n{"source":7,"type":"r","target":"a","w":1}' \
	>"$work/a.ndjson"
exits 0 'NDJSON with a byte order mark, CRLF, empty lines, no last newline' \
	import "$store" "$work/a.ndjson"
holds 2 2 1 'all of it is in'
like "$err" '2 entities, 2 edges, 1 vector in 1 commit,*' 'the summary'
exits 0 'a number as a key is its decimal text' get "$store" 7 --json
is "$(field properties <"$work/out")" '{"extra":[1,{"x":null}]}' \
	'members that are not known are properties'
exits 0 'importing again' import "$store" "$work/a.ndjson" --json
json "$work/out"
ok $? 'the summary as JSON'
is "$(field schema <"$work/out")" coppice.import/1 'has a schema'
is "$(field records <"$work/out")" 4 'and counts records'
holds 2 2 1 'nothing is there twice'
echo '{"key":"a"}' >"$work/keep.ndjson"
exits 0 'an entity without a vector' import "$store" "$work/keep.ndjson"
holds 2 2 1 'keeps the one it has'
echo '{"key":"a","vector":null}' >"$work/drop.ndjson"
exits 0 'an entity with the vector null' import "$store" "$work/drop.ndjson"
holds 2 2 0 'drops it'
gzip -c "$work/a.ndjson" >"$work/packed.bin"
exits 0 'gzip is seen by content' import "$store" "$work/packed.bin"
holds 2 2 1 'and unpacked'
for name in keep drop; do gzip -c "$work/$name.ndjson"; done >"$work/two.gz"
exits 0 'gzip of two members' import "$store" "$work/two.gz" --json
is "$(field records <"$work/out")" 2 'both are read'
run import "$store" - <"$work/packed.bin"
is "$status" 0 'gzip on standard input'
exits 0 'a default type' import "$store" "$work/keep.ndjson" --type Thing
run get "$store" a --json
is "$(field type <"$work/out")" Thing 'is given where none is named'
echo '{"key":"a","name":"outer","properties":{"name":"inner","type":"t","x":1}}' >"$work/both.ndjson"
exits 0 'a property in the line and in "properties"' import "$store" "$work/both.ndjson"
like "$err" '*warning: 1 property is both*' 'is a warning'
run get "$store" a --json
is "$(field properties <"$work/out" | tr -d " ")" '{"name":"outer","type":"t","x":1}' "the line's is taken"
: >"$work/empty"
exits 0 'an empty file' import "$store" "$work/empty"
holds 2 2 1 'changes nothing'
printf '{"key":"n","i":9223372036854775807,"j":-9223372036854775808,"f":0.1,"g":1e300,"z":-0.0,"s":"\\u00e4\\u0000\\ud83d\\ude00"}\n' \
	>"$work/n.ndjson"
exits 0 'numbers and escapes' import "$store" "$work/n.ndjson"
run get "$store" n --json
is "$(printf '%s' "$out" | sed 's/.*"properties"://; s/,"content.*//')" \
	'{"i":9223372036854775807,"j":-9223372036854775808,"f":0.1,"g":1e+300,"z":-0.0,"s":"ä\u0000😀"}' \
	'come back as they were'

# ---- bad lines: each names file, line and reason; nothing is imported

fresh
# bad LINE PATTERN NAME: the line, after a good one, is refused
bad()
{
	printf '{"key":"good"}\n\n%b\n{"key":"after"}\n' "$1" >"$work/bad.ndjson"
	run import "$store" "$work/bad.ndjson"
	is "$status" 7 "$3: refused"
	like "$err" "coppice: $work/bad.ndjson:3: $2; nothing was imported" \
		"$3: says where and why"
}
bad '{"key":"x",}' 'no valid JSON at column *' 'broken JSON'
bad '{"key":"x"} {"key":"y"}' 'no valid JSON at column *' 'two objects'
# a long content is read by other means
long=$(printf '%080d' 7)
bad "{\"key\":\"x\",\"content\":\"$long\",}" 'no valid JSON at column 10[0-9]: *' \
	'behind a long content'
bad "{\"key\":\"x\",\"vector\":[1,2,3],\"content\":\"$long\",}" \
	'no valid JSON at column 12[0-9]: *' 'behind a vector, too'
bad "{\"key\":\"x\",\"content\":\"$long\",\"content\":\"$long\"}" \
	'no valid JSON at column *' 'which is there twice'
bad '[1]' '*one JSON object*' 'a list'
bad '17' 'no valid JSON*' 'a number'
bad '{"key":"x","key":"y"}' 'no valid JSON*duplicate*' 'a member twice'
bad '{"key":"x","p":123\0000}' 'byte 19 is NUL' 'a NUL'
bad '{"key":"\0377"}' 'byte 9 (0xff) is not UTF-8' 'bytes that are not UTF-8'
bad '{"key":"\0355\0240\0200"}' 'byte 9 (0xed) is not UTF-8' 'a surrogate'
bad '{"key":"\\ud800"}' 'no valid JSON*' 'half a surrogate pair'
bad '{"name":"x"}' '*neither an entity*' 'no key'
bad '{"source":"good"}' '*neither an entity*' 'half an edge'
bad '{"key_hex":"6b"}' '"key_hex" stands beside "key", which is missing; *' 'a key_hex without a key'
bad '{"source":"a","relation":"r","target_hex":"62"}' '"target_hex" stands beside "target", which*' 'a target_hex without a target'
bad '{"set":{"key":"a","vector":null}}' '"set" and "delete" are of a dump with history*' 'what only a history has'
bad '{"source":"a","relation":"r","target":"b","valid_from":"2001","valid_to":"2000-05"}' \
	'valid_from, 2001-01-01T00:00:00Z, is not before valid_to, 2000-05-01T00:00:00Z' 'a validity that ends first'
bad '{"key":"a","timed":[{"tag":"t","valid_from":"2001","valid_to":"2001"}]}' \
	'*valid_from, 2001-01-01T00:00:00Z, is not before valid_to, 2001-01-01T00:00:00Z' 'one that ends as it begins'
bad '{"key":1.5}' '"key" is neither a string nor*' 'a key with a fraction'
bad '{"key":null}' '"key" is neither a string nor*' 'a key that is null'
bad '{"key":""}' '*' 'an empty key'
bad '{"key":"x","type":5}' '"type" is not a string' 'a type that is a number'
bad '{"key":"x","tags":"t"}' '"tags" is not a list' 'tags that are no list'
bad '{"key":"x","tags":[1]}' '"tags" has a member*' 'a tag that is a number'
bad '{"key":"x","content":[]}' '"content" is not a string' 'content, a list'
bad '{"content":{"a":1},"key":"x"}' '"content" is not a string' 'content, an object'
bad '{"key":"x","properties":[]}' '"properties" is not an object' 'properties'
bad '{"key":"x","vector":"v"}' '"vector" is neither*' 'a vector, a string'
bad '{"key":"x","vector":[1,"2"]}' '*member 1 is no number*' 'a string in it'
bad '{"key":"x","vector":[1,1e39]}' '*member 1 is no number*' 'out of float32'
bad '{"key":"x","vector":[1,2,3]}' '*' 'a vector of the wrong dimension'
bad '{"key":"x","vector":[0,0]}' '*' 'a zero vector under cosine'
bad '{"key":"x","p":1e999}' 'no valid JSON*' 'a number out of range'
bad '{"key":"x","p":18446744073709551616}' 'no valid JSON*' 'too big a whole'
bad '{"key":"good","source":"good","target":"good"}' '*entity or an edge*' \
	'an entity that is an edge'
bad '{"source":"good","relation":null,"target":"good"}' '"relation" is not*' \
	'an edge without a relation'
deep=$(perl -e 'print "[" x 40 . "]" x 40')
bad "{\"key\":\"x\",\"p\":$deep}" '*nest*' 'lists too deep'
bad "$(perl -e 'print "[" x 100000')" 'no valid JSON*' 'a hundred thousand brackets'
holds 0 0 0 'none of it left anything'

# ---- commits

fresh
perl -e 'print qq({"key":"k$_"}\n) for 1..25; print "oops\n"' >"$work/c.ndjson"
exits 7 'a bad line in the third batch' import "$store" "$work/c.ndjson" --batch 10
like "$err" "*c.ndjson:26: *; in the store is everything up to $work/c.ndjson:20, commit 2; --resume goes on from there" \
	'it stops at a commit and says which'
holds 20 0 0 'the first two commits are in'
fresh
exits 7 'the same with --atomic' import "$store" "$work/c.ndjson" --batch 10 --atomic
holds 0 0 0 'leaves nothing'
like "$err" '*nothing was imported' 'and says so'
exits 0 'the same with --skip-bad' import "$store" "$work/c.ndjson" --skip-bad
holds 25 0 0 'takes the rest'
like "$err" '*c.ndjson:26: *1 bad record was left out*' 'and counts it'
perl -e 'print qq({"key":"x$_"}\n{"key":$_.5}\n) for 1..50' >"$work/many.ndjson"
exits 0 'fifty bad lines' import "$store" "$work/many.ndjson" --skip-bad --json
is "$(field bad <"$work/out")" 50 'are counted'
is "$(grep -c 'many.ndjson:' "$work/err")" 5 'the first five are shown'
holds 75 0 0 'fifty good ones are in'
exits 0 'the commits of a batch of 10' import "$store" "$work/many.ndjson" \
	--skip-bad --json --batch 10
is "$(field commits <"$work/out")" 6 'are five, and one that says it is through'

# ---- interrupted

fresh
mkfifo "$work/slow"
"$COPPICE" import "$store" - --batch 10 <"$work/slow" >/dev/null 2>"$work/err" &
pid=$!
exec 4>"$work/slow"
perl -e 'print qq({"key":"s$_"}\n) for 1 .. 25' >&4
i=0
until [ "$(figure entities)" = 20 ] || [ $i -gt 200 ]; do
	i=$((i + 1))
	sleep 0.05
done
kill -TERM "$pid"
wait "$pid"
is "$?" 143 'SIGTERM ends an import, and its status says so'
exec 4>&-
like "$(cat "$work/err")" \
	'*interrupted; in the store is everything up to standard input:20, commit 2; --resume goes on from there' \
	'up to where is said'
holds 20 0 0 'and true'

# ---- no space

fresh
head -c 75000000 /dev/urandom | base64 -w 5000 |
	perl -pe 'chomp; $_ = qq({"key":"f$.","content":"$_"}\n)' |
	COPPICE_MAP_SIZE=64M "$COPPICE" import "$store" - --batch 500 2>"$work/err"
is "$?" 6 'a map that is full: 6'
like "$(cat "$work/err")" '*; in the store is everything up to standard input:*00, commit *' \
	'up to where is said'
lines=$(sed -n "s/.*input:\([0-9]*\), commit.*/\1/p" "$work/err")
holds "$lines" 0 0 'and true'

# ---- edges to entities that are not there

fresh
printf '%s\n' '{"key":"a"}' '{"source":"a","relation":"r","target":"a"}' '' \
	'{"source":"a","relation":"r","target":"ghost"}' '{"key":"b"}' \
	>"$work/d.ndjson"
exits 7 'a dangling edge is refused' import "$store" "$work/d.ndjson"
like "$err" "coppice: $work/d.ndjson:4: *" 'its line is named'
holds 0 0 0 'the commit was not made'
exits 0 '--dangling skip' import "$store" "$work/d.ndjson" --dangling skip --json
is "$(field edges_skipped <"$work/out")" 1 'counts it'
holds 2 1 0 'leaves it out'
exits 0 '--dangling stub' import "$store" "$work/d.ndjson" --dangling stub --json
is "$(field stubs_put <"$work/out")" 1 'counts the stub'
holds 3 2 0 'puts it and the edge'
exits 2 'another word' import "$store" "$work/d.ndjson" --dangling maybe
fresh
exits 0 '--skip-bad leaves dangling edges out' import "$store" "$work/d.ndjson" --skip-bad
like "$err" '*1 edge left out, an end is missing*' 'and says how many'

# ---- CSV

fresh
printf '{"key":"%s"}\n' a b 'with \"quotes\"' 'two\nlines' 'c,d' >"$work/e.ndjson"
exits 0 'entities' import "$store" "$work/e.ndjson"
printf '\357\273\277target,source,note,relation\r\nb,a,,r\r\n\r\n"with ""quotes""",a,"a ""b""",r\r\n"two\nlines","c,d","x\ny",s\r\n"a",b,z,r' \
	>"$work/e.csv"
exits 0 'CSV: mark, CRLF, quotes, lines in quotes, columns in any order' \
	import "$store" "$work/e.csv"
holds 5 4 0 'all edges are in'
run get "$store" a --edges --json
like "$out" '*"target":"with \\"quotes\\"","properties":{"note":"a \\"b\\""}*' \
	'a further column is a property'
like "$out" '*"target":"b","properties":{}*' 'an empty cell is none'
run get "$store" c,d --edges --json
like "$out" '*"relation":"s","target":"two\\nlines","properties":{"note":"x\\ny"}*' \
	'lines within quotes'
printf 'source\ttype\ttarget\nb\tr\tb\n' >"$work/e.tsv"
exits 0 'tabs' import "$store" "$work/e.tsv"
printf 'source;type;target\nb;q;b\n' >"$work/semicolon"
exits 0 'semicolons, told by the first line' import "$store" "$work/semicolon"
holds 5 6 0 'are edges too'
# badcsv TEXT LINE PATTERN NAME
badcsv()
{
	printf '%b' "$1" >"$work/bad.csv"
	run import "$store" "$work/bad.csv" --format csv
	is "$status" 7 "$4: refused"
	like "$err" "coppice: $work/bad.csv:$2: $3" "$4: says where and why"
}
h='source,type,target\n'
badcsv "$h\n\na,r\n" 4 '2 fields, the first line has 3*' 'a field too few'
badcsv "${h}a,r,b\na,r,b,c\n" 3 '4 fields, the first line has 3*' 'one too many'
badcsv "${h}a,r,b\n\"a\nx\",r,b\n\"a\"x,r,b\n" 5 '*closing quote*' 'text after a quote'
printf 'key,n:int\na,\302\233x\033[1m\na,1' >"$work/c1.csv"
run import "$store" "$work/c1.csv"
like "$err" "*column 'n:int': '?x?\[1m' is not a whole number*" 'control characters are not printed'
badcsv 'source,relation,target,valid_to,valid_from\na,r,b,1999,2000-01-01T00:00:00.5\n' 2 \
	"column 'valid_from': valid_from, 2000-01-01T00:00:00.5Z, is not before valid_to, 1999-01-01T00:00:00Z*" 'a validity that ends first, in a table'
run import "$store" "$(printf 'no\377\303\244')"
is "$err" 'coppice: no?ä: No such file or directory; nothing was imported' 'nor bytes that are no UTF-8'
run import "$store" "$work/c1.csv" --type-key "$(printf '\377')" --format "$(printf 'x\377')"
like "$err" "coppice: *x?*" 'of options neither'
badcsv "${h}a,r,b\na,r,\"b\n" 3 'a quote is never closed*' 'an open quote'
badcsv "${h}a,r,\\0377b\n" 2 "column 'target': byte 1 (0xff) is not UTF-8*" 'not UTF-8'
badcsv 'source,type\na,r\n' 1 "*no column 'target'*" 'no target'
badcsv 'source,to,target\na,r,b\n' 1 "*no column 'type' or 'relation'*" 'no type'
badcsv 'source,type,target,type\n' 1 '*twice*' 'a column twice'
badcsv '' 1 "*no column 'source'*" 'an empty file'
badcsv "${h}a,r,b\na,r,ghost\n" 3 '*' 'a dangling edge'
badcsv "${h}a,,b\n" 2 '*' 'an empty relation'
holds 5 6 0 'none of it left anything'
printf '%b' "${h}a,r,b\na,r\n\"a\"x,r,b\nb,r,a\n" >"$work/s.csv"
exits 0 '--skip-bad finds the next record' import "$store" "$work/s.csv" --skip-bad --json
is "$(field bad <"$work/out") $(field edges_put <"$work/out")" '2 2' 'after a bad one'

# ---- .fvecs and .npy

# npy FILE DESCR SHAPE PACK NUMBER...
npy()
{
	npy_to=$1
	shift
	perl -e 'my ($d, $s, $p, @n) = @ARGV;
		my $f = $ENV{NPY_FORTRAN} // "False";
		my $h = "{\x27descr\x27: \x27$d\x27, \x27fortran_order\x27: $f, \x27shape\x27: ($s), }";
		my $v = $ENV{NPY_VERSION} // 1;
		my $b = $v == 1 ? 10 : 12;
		$h .= " " x (63 - ($b + length $h) % 64) . "\n";
		print "\x93NUMPY", pack($v == 1 ? "CCS<" : "CCL<", $v, 0, length $h), $h, pack("$p*", @n)' \
		"$@" >"$npy_to"
}

fresh 3
perl -e 'print pack("L<f<3L<f<3", 3, 1, 2, 3, 3, 4, 5, 6)' >"$work/v.fvecs"
exits 0 '.fvecs' import "$store" "$work/v.fvecs" --type Row
holds 2 0 2 'makes an entity a row'
run get "$store" 1 --json --vector
is "$out" '{"key":"1","type":"Row","tags":[],"properties":{},"content":null,"vector":[4,5,6]}' \
	'whose key is the row number'
echo '{"key":"0","type":"Kept","name":"zero"}' >"$work/zero.ndjson"
exits 0 'an entity that is there' import "$store" "$work/zero.ndjson"
npy "$work/f4.npy" '<f4' '2, 3' 'f<' 7 8 9 1 1 2
exits 0 '.npy of float32' import "$store" "$work/f4.npy"
run get "$store" 0 --json --vector
is "$out" '{"key":"0","type":"Kept","tags":[],"properties":{"name":"zero"},"content":null,"vector":[7,8,9]}' \
	'keeps everything but its vector'
# vec NAME: the vector of entity 0
vec()
{
	is "$("$COPPICE" get "$store" 0 --json --vector | field vector)" "$1" "$2"
}
npy "$work/f8.npy" '<f8' '2, 3' 'd<' 0.5 -1 2 1 2 3
exits 0 'float64' import "$store" "$work/f8.npy"
vec '[0.5,-1,2]' 'is rounded to float32'
npy "$work/f2.npy" '<f2' '2, 3' 'S<' 15360 49152 1 31743 1024 13107
exits 0 'float16' import "$store" "$work/f2.npy"
vec '[1,-2,5.96046448e-08]' 'is exact, subnormal numbers too'
npy "$work/u1.npy" '|u1' '2, 3' C 255 0 7 1 2 3
exits 0 'uint8' import "$store" "$work/u1.npy"
vec '[255,0,7]' 'is whole numbers'
npy "$work/i1.npy" '|i1' '2, 3' c -128 127 1 1 2 3
exits 0 'int8' import "$store" "$work/i1.npy"
vec '[-128,127,1]' 'has a sign'
(export NPY_VERSION=2; npy "$work/v2.npy" '<f4' '2, 3' 'f<' 3 2 1 1 2 3)
exits 0 'a header of version 2' import "$store" "$work/v2.npy"
vec '[3,2,1]' 'is read'
gzip -c "$work/f4.npy" >"$work/f4.npy.gz"
exits 0 '.npy.gz' import "$store" "$work/f4.npy.gz"
vec '[7,8,9]' 'is read'
holds 2 0 2 'still two entities'
# badrows FILE PATTERN NAME
badrows()
{
	run import "$store" "$1"
	is "$status" 7 "$3: refused"
	like "$err" "coppice: $1*$2*" "$3: says why"
}
(export NPY_FORTRAN=True; npy "$work/fo.npy" '<f4' '2, 3' 'f<' 1 2 3 4 5 6)
badrows "$work/fo.npy" 'Fortran order*ascontiguousarray' 'Fortran order'
npy "$work/be.npy" '>f4' '2, 3' 'f>' 1 2 3 4 5 6
exits 0 'big endian' import "$store" "$work/be.npy"
vec '[1,2,3]' 'is turned round'
for option in '--dangling stub' '--relation r'; do
	# shellcheck disable=SC2086
	exits 2 "vectors with $option" import "$store" "$work/be.npy" $option
	like "$err" "coppice: $work/be.npy is npy, which has no edges; --dangling and --relation go with those*" 'are refused'
done
echo '{"source":"0","relation":"r","target":"nobody"}' >"$work/edge.ndjson"
exits 0 'edges and vectors with --dangling' import "$store" "$work/be.npy" "$work/edge.ndjson" --dangling stub
npy "$work/wide.npy" '<f4' '3, 2' 'f<' 1 2 3 4 5 6
badrows "$work/wide.npy" '2 numbers, this store' 'another dimension'
npy "$work/d3.npy" '<f4' '1, 2, 3' 'f<' 1 2 3 4 5 6
badrows "$work/d3.npy" '3 dimensions' 'three dimensions'
npy "$work/short.npy" '<f4' '3, 3' 'f<' 1 2 3 4 5 6
badrows "$work/short.npy" 'breaks off in row 2' 'fewer rows than promised'
npy "$work/long.npy" '<f4' '1, 3' 'f<' 1 2 3 4 5 6
badrows "$work/long.npy" 'bytes follow' 'more than promised'
npy "$work/huge.npy" '<f4' '999999999999, 3' 'f<' 1 2 3 4 5 6
badrows "$work/huge.npy" 'breaks off in row 2' 'a shape out of all bounds'
printf '\223NUMPY\001\000\020\000{"descr": 12}   ' >"$work/odd.npy"
badrows "$work/odd.npy" 'makes no sense' 'a header that makes no sense'
for size in 3 8 11 20 100; do
	head -c $size "$work/be.npy" >"$work/short.npy"
	badrows "$work/short.npy" 'breaks off in its .npy header; is it complete?*' "$size bytes of a file"
done
printf '\223NUMPY\011\000\020\000{"descr": 12}   ' >"$work/v9.npy"
badrows "$work/v9.npy" 'version 9' 'a version not known'
head -c 40 "$work/f4.npy" >"$work/cut.npy"
badrows "$work/cut.npy" 'breaks off in its .npy header' 'a header cut off'
perl -e 'print pack("L<f<3L<f<2", 3, 1, 2, 3, 2, 4, 5)' >"$work/mixed.fvecs"
badrows "$work/mixed.fvecs" 'row 1 says that it has 2' 'rows of two lengths'
perl -e 'print pack("L<f<3L<f<2", 3, 1, 2, 3, 3, 4, 5)' >"$work/cut.fvecs"
badrows "$work/cut.fvecs" 'breaks off in row 1' 'a row cut off'
npy "$work/nan.npy" '<f4' '2, 3' 'f<' 1 2 3 nan 5 6
badrows "$work/nan.npy" "row 1: key '1': *" 'NaN'
exits 0 'NaN with --skip-bad' import "$store" "$work/nan.npy" --skip-bad --json
is "$(field bad <"$work/out") $(field vectors_put <"$work/out")" '1 1' 'is left out'
head -c 100 "$work/f4.npy.gz" >"$work/cut.gz"
badrows "$work/cut.gz" 'gzip data breaks off' 'gzip cut off'

# ---- --ids

fresh 3
printf '%s\n' '{"key":"x","type":"T"}' '{"key":"y"}' >"$work/xy.ndjson"
exits 0 'entities' import "$store" "$work/xy.ndjson"
printf 'y\r\nx\n' >"$work/ids"
exits 0 '--ids' import "$store" "$work/f4.npy" --ids "$work/ids"
holds 2 0 2 'gives vectors to entities that are there'
run get "$store" x --json --vector
is "$out" '{"key":"x","type":"T","tags":[],"properties":{},"content":null,"vector":[1,1,2]}' \
	'and changes nothing else'
printf 'x\nghost\n' >"$work/ids"
exits 7 'a key that is not there' import "$store" "$work/f4.npy" --ids "$work/ids"
like "$err" "*f4.npy: row 1: key 'ghost': *no such entity*" 'is named with its row'
echo x >"$work/ids"
exits 7 'too few keys' import "$store" "$work/f4.npy" --ids "$work/ids"
like "$err" '*1 key,*row 1*' 'are said'
printf 'x\ny\nz\n' >"$work/ids"
exits 7 'too many keys' import "$store" "$work/f4.npy" --ids "$work/ids"
# From a column of a table.
printf 'name,"a, key",n\r\n"a\n1",y,1\r\n,x,2\r\n' >"$work/ids.csv"
exits 0 '--ids of a column, by its name' import "$store" "$work/f4.npy" \
	--ids "$work/ids.csv:a, key"
exits 0 'its vector' get "$store" y --vector --json
like "$out" '*"vector":[[]7,8,9]*' 'is that of the first row'
printf 'x\tthe x\ny\tthe y\n' >"$work/ids.tsv"
exits 0 'by its number, without names' import "$store" "$work/f4.npy" \
	--ids "$work/ids.tsv:1"
exits 0 'its vector' get "$store" x --vector --json
like "$out" '*"vector":[[]7,8,9]*' 'is that of the first row'
while IFS='|' read -r column words; do
	exits 7 "column $column" import "$store" "$work/f4.npy" \
		--ids "$work/ids.csv:$column"
	like "$err" "coppice: $words*" 'says why'
done <<END
key|$work/ids.csv: has no column 'key'; it has name, a, key, n
4|$work/ids.csv:1: has 3 columns, there is no column 4
name|$work/f4.npy: row 0: key 'a?1': there is no such entity
2|$work/f4.npy: row 0: key 'a, key': there is no such entity
END
printf 'k,n\nx,1\n"y,2\n' >"$work/ids.csv"
exits 7 'a quote that is not closed' import "$store" "$work/f4.npy" \
	--ids "$work/ids.csv:k"
like "$err" "coppice: $work/ids.csv:3: a quote is never closed*" 'says where'
printf 'k,n\nx,1\n' >"$work/ids.csv"
exits 7 'too few keys' import "$store" "$work/f4.npy" --ids "$work/ids.csv:k"
like "$err" '*has 1 key, but there is a row 1*' 'says so'
printf 'k,n\nx,1\ny,2\nz,3\n' >"$work/ids.csv"
exits 7 'too many keys' import "$store" "$work/f4.npy" --ids "$work/ids.csv:k"
like "$err" '*has more keys than *, which has 2 rows*' 'says so'
printf 'x\ny\n' >"$work/ids:k"
exits 0 'a file whose name has a colon' import "$store" "$work/f4.npy" \
	--ids "$work/ids:k"
exits 7 'neither a file nor a column of one' import "$store" "$work/f4.npy" \
	--ids "$work/gone:k"
like "$err" "coppice: $work/gone:k: No such file*" 'says so'
exits 2 '--ids for NDJSON' import "$store" "$work/xy.ndjson" --ids "$work/ids"

# ---- formats, several files, progress

fresh
exits 0 'entities, then edges, in one import' import "$store" "$work/e.ndjson" \
	"$work/e.csv" --json
is "$(field commits <"$work/out")" 1 'are one commit if they are few'
holds 5 4 0 'and all in'
printf 'hello world\n' >"$work/what"
exits 7 'a file of no known format' import "$store" "$work/what"
like "$err" '*--format*' 'says what to do'
exits 7 'a file that is not there' import "$store" "$work/none"
exits 7 'a folder' import "$store" "$work"
exits 2 'no file' import "$store"
exits 0 '--progress=always' import "$store" "$work/e.ndjson" --progress=always
exits 0 '-q' import "$store" "$work/e.ndjson" -q
is "$out$err" '' 'prints nothing'

# --- a content is the same however long it is, and whatever else is there
fresh 3
cat >"$work/long" <<END
{"key":"a","content":"$long"}
{"content":"$long","key":"b","vector":[1,2,3]}
{"key":"c","vector":[1,2,3],"content":"$long é"}
{"key":"d","content":"$long\\n"}
{"key":"e","content":"$long","content_bytes":null,"n":"$long"}
{"source":"a","relation":"r","target":"b","content":"$long"}
END
exits 0 'long contents' import "$store" "$work/long"
run scan "$store" --json --edges --vector
sed 's/"type":null,"tags":\[\],//' <"$work/out" >"$work/seen"
is "$(cat "$work/seen")" "{\"key\":\"a\",\"properties\":{},\"content\":\"$long\",\"vector\":null}
{\"key\":\"b\",\"properties\":{},\"content\":\"$long\",\"vector\":[1,2,3]}
{\"key\":\"c\",\"properties\":{},\"content\":\"$long é\",\"vector\":[1,2,3]}
{\"key\":\"d\",\"properties\":{},\"content\":\"$long\\n\",\"vector\":null}
{\"key\":\"e\",\"properties\":{\"n\":\"$long\"},\"content\":\"$long\",\"vector\":null}
{\"source\":\"a\",\"relation\":\"r\",\"target\":\"b\",\"properties\":{\"content\":\"$long\"}}" \
	'are what they were'
done_testing
