#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_import_tables: CSV and its relatives into the store: headers, types,
# dialects, lists of edges.
. "$(dirname "$0")/tap.sh"

data=${COPPICE_TEST_DATA:-$(dirname "$0")/../../shared/data}
# takes NAME FILE...: the import succeeds
takes()
{
	takes_name=$1
	shift
	exits 0 "$takes_name" import "$store" --quiet "$@"
}

# holds TEXT NAME: the whole store as `scan --edges` prints it
holds()
{
	"$COPPICE" scan "$store" --edges >"$work/scan"
	is "$(sed 's/,"content":null}$/}/; s/"tags":\[\],//; s/"type":null,//' "$work/scan")" \
		"$1" "$2"
}

# refuses TEXT LINE PATTERN NAME [OPTION...]: the file is refused, with its
# place and a reason; nothing of it is in the store
refuses()
{
	printf '%b' "$1" >"$work/bad.csv"
	refuses_place=$work/bad.csv:$2
	refuses_reason=$3
	refuses_name=$4
	shift 4
	run import "$store" "$work/bad.csv" "$@"
	is "$status" 7 "$refuses_name: refused"
	like "$err" "coppice: $refuses_place: $refuses_reason; nothing was imported" \
		"$refuses_name: says where and why"
}

# ---- our own names

fresh
cat >"$work/own.csv" <<'END'
key,type,tags,content,vector,name,born:int,score:double,alive:boolean,seen:int[],names:string[],dc:title
ada,person,math;poet,some text,"[1, 0.5]",Ada,1815, -0.25e1 ,false,1;2;-3,Ada;King,first
bob,,,,2;1,,,,TRUE,"[4, 5]",x,
cy,person,,,0 -1e-3,"C ""y""",-9223372036854775808,1e300,0,[],,
END
takes 'entities by our names' "$work/own.csv" --type thing
holds '{"key":"ada","type":"person","tags":["math","poet"],"properties":{"name":"Ada","born":1815,"score":-2.5,"alive":false,"seen":[1,2,-3],"names":["Ada","King"],"dc:title":"first"},"content":"some text"}
{"key":"bob","type":"thing","properties":{"alive":true,"seen":[4,5],"names":["x"]}}
{"key":"cy","type":"person","properties":{"name":"C \"y\"","born":-9223372036854775808,"score":1e+300,"alive":false,"seen":[]}}' \
	'types, tags, content, properties of each kind; an empty cell is none'
is "$("$COPPICE" get "$store" ada --json --vector | field vector) $("$COPPICE" get "$store" cy --json --vector | field vector)" \
	'[1,0.5] [0,-0.00100000005]' 'vectors in brackets, or between blanks'
printf 'key,dc:title,x:lang,foaf:member,x:data,a:integr:string,a:year:int[]\na,t,l,m,d,i,1;2\n' >"$work/colon.csv"
takes 'other words behind a colon' "$work/colon.csv"
is "$("$COPPICE" get "$store" a --json | field properties)" '{"a:integr":"i","a:year":[1,2],"dc:title":"t","foaf:member":"m","x:data":"d","x:lang":"l"}' \
	'are parts of names, and those before a type'
printf 'id\tw:float\nada\t1\n' >"$work/id.tsv"
takes '`id` stands for `key`' "$work/id.tsv"
is "$("$COPPICE" get "$store" ada --json | field properties)" '{"w":1}' \
	'and the entity is replaced'
printf 'source,type,target,since:int,valid_from,discriminator\nada,knows,bob,1840,1840,7\n' \
	>"$work/edge.csv"
takes 'edges with types' "$work/edge.csv"
like "$("$COPPICE" scan "$store" --edges | tail -n 1)" \
	'{"source":"ada",*"discriminator":7*"since":1840*' 'are numbers'

# ---- neo4j-admin

fresh
printf 'personId:ID(Person),name,:LABEL,born:int,tags:string[],emb:vector,x:IGNORE,at:point{crs:WGS-84}\n1,Ada,Person;Math,1815,a;b,1;0,zz,\n2,"B, C",Person,,,,,"{x:1}"\n' \
	>"$work/people.csv"
printf ':ID(Movie)|title|:LABEL\n' >"$work/movies-header.csv"
printf '1|One|Movie\n' >"$work/movies-1.csv"
printf '2|Two|Movie;Sequel\n' | gzip >"$work/movies-2.csv.gz"
printf ':START_ID(Person),role,:END_ID(Movie),:TYPE,since:date\n1,Neo,1,ACTED_IN,1999-01-01\n2,Tri,2,ACTED_IN,\n' \
	>"$work/roles.csv"
takes 'nodes, with their header in a file of its own, and relationships' \
	"$work/people.csv" \
	"$work/movies-header.csv,$work/movies-1.csv,$work/movies-2.csv.gz" \
	"$work/roles.csv"
holds '{"key":"Person:1","type":"Person","tags":["Math"],"properties":{"personId":"1","name":"Ada","born":1815,"tags":["a","b"]}}
{"key":"Person:2","type":"Person","properties":{"personId":"2","name":"B, C","at":"{x:1}"}}
{"key":"Movie:1","type":"Movie","properties":{"title":"One"}}
{"key":"Movie:2","type":"Movie","tags":["Sequel"],"properties":{"title":"Two"}}
{"source":"Person:1","relation":"ACTED_IN","target":"Movie:1","properties":{"role":"Neo","since":"1999-01-01"}}
{"source":"Person:2","relation":"ACTED_IN","target":"Movie:2","properties":{"role":"Tri"}}' \
	'the same id in two spaces is two entities'
is "$("$COPPICE" get "$store" Person:1 --json --vector | field vector)" '[1,0]' \
	'a column of vectors'
printf ':START_ID(Person),:END_ID(Person)\n1,2\n' >"$work/plain.csv"
takes '--relation where there is no :TYPE' "$work/plain.csv" --relation KNOWS
like "$(tail -n 1 "$work/scan"; "$COPPICE" neighbors "$store" Person:2)" \
	'*KNOWS*' 'names it'
fresh
printf ':ID,:LABEL\n1,A\n' >"$work/parts-1.csv"
printf '2,B\n' >"$work/parts-2.csv"
takes 'parts, the first one with the header and records' \
	"$work/parts-1.csv,$work/parts-2.csv"
takes 'the header named by --header' "$work/parts-2.csv" \
	--header "$work/parts-1.csv"
holds '{"key":"1","type":"A","properties":{}}
{"key":"2","type":"B","properties":{}}' 'both are read'
printf '3,C\n4\n' >"$work/parts-3.csv"
run import "$store" "$work/parts-1.csv,$work/parts-3.csv"
like "$status $err" "7 coppice: $work/parts-3.csv:2: 1 field,*" \
	'a fault in a part names that file'

# ---- Gremlin, as Neptune has it

fresh
printf '~id,~label,name:String(single),age:Int,nick:String[],data\nv1,person;admin,Ada,36,"a\\;b;c",x\nv2,person,,,,\n' \
	>"$work/v.csv"
printf '~id,~from,~to,~label,weight:Double\ne1,v1,v2,knows,0.5\n' >"$work/e.csv"
takes 'vertices and edges of Gremlin' "$work/v.csv" "$work/e.csv"
holds '{"key":"v1","type":"person","tags":["admin"],"properties":{"name":"Ada","age":36,"nick":["a;b","c"],"data":"x"}}
{"key":"v2","type":"person","properties":{}}
{"source":"v1","relation":"knows","target":"v2","properties":{"id":"e1","weight":0.5}}' \
	'escaped delimiters, cardinalities, the id of an edge'
cp "$work/v.csv" "$work/unnamed"
takes 'told by the first line, not by its name' "$work/unnamed"

# ---- parallel edges

fresh
printf ':ID\n1\n2\n' >"$work/p.csv"
printf ':START_ID,:END_ID,:TYPE,n:int\n1,2,paid,1\n1,2,owes,2\n1,2,paid,3\n' \
	>"$work/pe-1.csv"
printf '1,2,paid,4\n' >"$work/pe-2.csv"
takes 'parallel edges' "$work/p.csv" "$work/pe-1.csv,$work/pe-2.csv"
is "$("$COPPICE" stat "$store" --json | field edges)" 4 \
	'are all there, those of the second part too'
takes 'the same again' "$work/p.csv" "$work/pe-1.csv,$work/pe-2.csv"
is "$("$COPPICE" stat "$store" --json | field edges)" 4 'changes nothing'
printf 'source,type,target,n:int\n2,paid,1,1\n2,paid,1,2\n' >"$work/po.csv"
takes 'by our own names' "$work/po.csv"
is "$("$COPPICE" scan "$store" --edges | grep -c '"source":"2"')" 1 \
	'the second one replaces the first'

# ---- lists of edges

fresh
printf '# SNAP\n%% KONECT\n1 2\n2\t 3  0.5\r\n\n  3 1' >"$work/list.txt"
takes 'a list of edges' "$work/list.txt" --format edges --dangling stub
"$COPPICE" scan "$store" --edges | grep source >"$work/got"
is "$(cat "$work/got")" '{"source":"1","relation":"edge","target":"2","properties":{}}
{"source":"2","relation":"edge","target":"3","properties":{"weight":0.5}}
{"source":"3","relation":"edge","target":"1","properties":{}}' \
	'comments are passed over, the third word is a weight'
printf '/m/1\t/r/"a\t/m/2\n/m/2\t/r/b\t/m/1\n' >"$work/t.tsv"
takes 'triples' "$work/t.tsv" --format triples --dangling stub
takes 'the same as CSV' "$work/t.tsv" --no-header --quote none
is "$("$COPPICE" scan "$store" --edges | grep -c '"/r/')" 2 'are two edges'
is "$("$COPPICE" scan "$store" --edges | grep -c '"relation":"/r/\\"a"')" 1 \
	'a quote is a byte as others'
printf '1,2\n2,3\n' >"$work/two.csv"
takes 'two columns without names' "$work/two.csv" --no-header --relation to
is "$("$COPPICE" scan "$store" --edges | grep -c '"relation":"to"')" 2 \
	'are source and target'
printf '1 2\n1 2 x\n' >"$work/bad.txt"
run import "$store" "$work/bad.txt" --format edges
like "$status $err" "7 coppice: $work/bad.txt:2: the third word: 'x' is not a finite number*" \
	'a weight that is none'
printf '1 2\n1\n1 2 3 4\n' >"$work/bad.txt"
run import "$store" "$work/bad.txt" --format edges --skip-bad
like "$status $err" "0 coppice: $work/bad.txt:2: one word*$work/bad.txt:3: more than three words*" \
	'one word, and four'

# ---- dialects

fresh
cat >"$work/d.csv" <<'END'
key^name^all
'a'^'it\'s ^ \\'^1|2
END
takes 'a delimiter, a quote and an escape that are given' "$work/d.csv" \
	--delimiter ^ --quote "'" --escape "\\"
holds '{"key":"a","properties":{"name":"it'"'"'s ^ \\","all":"1|2"}}' 'are used'
printf 'key\tall:int[]\na\t1|2\n' >"$work/d.tsv"
takes '--array-delimiter' "$work/d.tsv" --delimiter tab --array-delimiter '|'
holds '{"key":"a","properties":{"all":[1,2]}}' 'is used'
printf 'key,a\r\rb,1\r"c\rd",2\r\r\nx,3\r\n' >"$work/cr.csv"
takes 'lines that end in CR, or CRLF' "$work/cr.csv"
is "$("$COPPICE" scan "$store" | wc -l)" 4 'are lines, but not in quotes'
printf 'key\na|b;c\n"d,e"\n' >"$work/one.csv"
takes 'a single column' "$work/one.csv"
exits 0 'is not split by what is no comma' get "$store" 'a|b;c' 'd,e'
printf 'key,a,\nb,5,\n' >"$work/trail.csv"
takes 'a delimiter behind the last field' "$work/trail.csv"
is "$("$COPPICE" get "$store" b --json | field properties)" '{"a":"5"}' \
	'is no field'
for option in '--delimiter ab' '--quote xy' '--no-header --header f' \
	'--format ndjson --quote none' "--delimiter \""; do
	# shellcheck disable=SC2086
	exits 2 "$option is refused" import "$store" "$work/d.csv" $option
done

# ---- vectors as our export has them

# vector_is HEADER CELLS WANT NAME: what is in the store's last line
vector_is()
{
	fresh
	printf '%s\n%s\n' "$1" "$2" >"$work/vector.csv"
	run import "$store" "$work/vector.csv" --quiet --dangling stub
	[ "$status" = 0 ] || diag "$err"
	"$COPPICE" scan "$store" --vector --edges >"$work/scan"
	is "$(tail -n 1 "$work/scan" | sed 's/.*"properties"/"properties"/')" \
		"$3" "$4"
}
vector_is ':ID,vector:float[]' 'a,1;0.5' \
	'"properties":{},"content":null,"vector":[1,0.5]}' \
	'vector:float[] of nodes is the vector'
vector_is ':ID,vector:float[]' 'a,' \
	'"properties":{},"content":null,"vector":null}' 'an empty one is none'
vector_is ':ID,vector:double[]' 'a,1;0.5' \
	'"properties":{"vector":[1.0,0.5]},"content":null,"vector":null}' \
	'of doubles it is a property'
vector_is ':ID,vector:double[],vector:float[]' 'a,3,1;0.5' \
	'"properties":{"vector":[3.0]},"content":null,"vector":[1,0.5]}' \
	'there may be both'
vector_is ':ID,vector:float[],emb:vector' 'a,3,1;0.5' \
	'"properties":{"vector":[3.0]},"content":null,"vector":[1,0.5]}' \
	'as it is where another column is the vector'
vector_is ':ID,Vector:float[]' 'a,1;0.5' \
	'"properties":{"Vector":[1.0,0.5]},"content":null,"vector":null}' \
	'or where it is called otherwise'
vector_is 'key,vector:float[]' 'a,1;0.5' \
	'"properties":{"vector":[1.0,0.5]},"content":null,"vector":null}' \
	'or by our own names'
vector_is ':START_ID,:END_ID,:TYPE,vector:float[]' 'a,b,R,1;0.5' \
	'"properties":{"vector":[1.0,0.5]}}' 'and of an edge'
fresh
refuses ':ID,vector:float[]\na,1;x\n' 2 \
	"column 'vector:float*': member 2, 'x' is*" 'one with a word'

# ---- what is wrong is named

fresh
h='key,n:int,f:double,b:boolean,v:vector,l:int[]\n'
refuses "${h}a,x,,,,\n" 2 "column 'n:int': 'x' is not a whole number*" 'a word as a number'
refuses "${h}a,,,,,\nb,1.5,,,,\n" 3 "column 'n:int': '1.5' is*" 'a fraction'
refuses "${h}a,9223372036854775808,,,,\n" 2 "column 'n:int': '9223372036854775808' is*" 'over 64 bits'
refuses "${h}a,,\"1,5\",,,\n" 2 "column 'f:double': '1,5' is*" 'a decimal comma'
refuses "${h}a,,1e999,,,\n" 2 "column 'f:double': '1e999' is*" 'a number out of range'
refuses "${h}a,,0x10,,,\n" 2 "column 'f:double': '0x10' is*" 'hexadecimal'
refuses "${h}a,,nan,,,\n" 2 "column 'f:double': 'nan' is not a finite*" 'not a number'
refuses "${h}a,,,maybe,,\n" 2 "column 'b:boolean': 'maybe' is*" 'neither true nor false'
refuses "${h}a,,,,1;x,\n" 2 "column 'v:vector': member 2, 'x' is*" 'a vector with a word'
refuses "${h}a,,,,1;2;3,\n" 2 '*' 'a vector of another dimension'
refuses "${h}a,,,,,1;;2\n" 2 "column 'l:int*': member 2, '' is*" 'an empty member'
refuses "${h},1,,,,\n" 2 "column 'key' is empty*" 'no key'
refuses "${h}a,1\n" 2 '2 fields, the first line has 6*' 'a record too short'
refuses 'key,a\nx,b\0000c\n' 2 "column 'a': byte 2 is NUL*" 'a NUL'
refuses 'key,a\nx,b\0377c\n' 2 "column 'a': byte 2 (0xff) is not UTF-8*" 'not UTF-8'
refuses 'key,a\0000\n' 1 'column 2 has a name that is not UTF-8*' 'a NUL in the header'
refuses 'key,a,,b\n' 1 'column 3 has no name*' 'a column without a name'
refuses 'key,:int\n' 1 'column 2 has no name*' 'a column with a type alone'
refuses 'key,a,a:int\n' 1 "column 3, 'a:int', is there twice*" 'a property twice'
refuses ':ID,n:itn\n' 1 "column 'n:itn': 'itn' is not a type; did you mean int; if it is a part of the name, say 'n:itn:string'" 'a type that is none'
refuses ':ID,n:year\n' 1 "column 'n:year': 'year' is not a type; there are string,*" 'one that is like none'
refuses 'key,born:integr\n' 1 "column 'born:integr': 'integr' is not a type; did you mean integer; if it is a part of the name, say 'born:integr:string'" 'by our names, one that is nearly a type'
refuses 'key,born:Itn\n' 1 "*did you mean int;*" 'two letters that changed places'
refuses 'key,born:year[]\n' 1 "column 'born:year??': 'year??' is not a type; there are *" 'lists of a type that is none'
refuses '~id,~name\n' 1 "column '~name': *" 'a name with ~'
refuses ':ID,~id\n' 1 "column 2, '~id', is there twice*" 'two keys'
refuses ':START_ID,:TYPE\n' 1 "*no column ':END_ID'*" 'half an edge'
refuses ':START_ID,:END_ID\n' 1 "*no column ':TYPE'; --relation*" 'no relation'
refuses 'name,n:int\n' 1 "*no column 'source', of edges, nor 'key'*--no-header*" 'neither'
refuses 'a,b,c,d\n' 1 '4 columns without names*--header*' 'four without names' --no-header
refuses "$(perl -e 'print join(",", "key", map("c$_", 1 .. 30000), "c7", "c8")')" \
	1 "column 30002, 'c7', is there twice: column 8 *" 'one of 30,000 columns twice'
refuses ',\n' 1 "*empty*" 'ends without a byte' --no-header --relation r
refuses 'key,a\n"x"y,1\n' 2 'text follows after a closing quote*' 'text after a quote'
refuses 'key,a\n"x\\6",1\n' 2 'an escape stands before*' 'an escape of nothing' --escape "\\"
refuses 'key,a\n"x\\' 2 'the file ends after an escape*' 'an escape at the end' --escape "\\"
perl -e 'print "key", ",a" x 70000, "\n"' >"$work/wide.csv"
run import "$store" "$work/wide.csv"
like "$status $err" '7 *more than 65,536 fields*' 'seventy thousand columns'
printf '\377\376k\000e\000y\000\n\000' >"$work/u16.csv"
run import "$store" "$work/u16.csv"
like "$status $err" "7 coppice: $work/u16.csv: is in UTF-16*iconv*" 'UTF-16'
perl -e 'print "key,a\n"; print "k$_,", rand, "\n" for 1 .. 9999' | gzip |
	head -c 20000 >"$work/cut.csv.gz"
run import "$store" "$work/cut.csv.gz"
like "$status $err" '7 *the gzip data breaks off*' 'gzip that breaks off'
run import "$store" "$work/own.csv" --header "$work/none"
like "$status $err" "7 coppice: $work/none: *" 'a header that is not there'
holds '' 'none of it left anything'
printf '%b' "${h}a,x,,,,\nb,1,,,,\nc,,y,,,\n" >"$work/skip.csv"
exits 0 'with --skip-bad' import "$store" "$work/skip.csv" --skip-bad
like "$err" "*:2: column 'n:int'*:4: column 'f:double'*2 bad records were left out*" \
	'both are told'
holds '{"key":"b","properties":{"n":1}}' 'the good one is in'
fresh
LC_ALL=de_DE.UTF-8 "$COPPICE" import "$store" --quiet "$work/own.csv"
like "$("$COPPICE" get "$store" ada --json | field properties)" '*"score":-2.5*' \
	'a locale with a decimal comma changes nothing'

# ---- csv-spectrum: its rows as properties, by a header of its first line

if [ -d "$data/csv/csv-spectrum" ]; then
	for file in "$data"/csv/csv-spectrum/csvs/*.csv; do
		name=$(basename "$file" .csv)
		# its JSON is of another row
		[ "$name" = location_coordinates ] && continue
		fresh
		# the names once as a header, and again as the first record
		head -n 1 "$file" | tr -d '\r' | sed 's/,/:ID,/' >"$work/h.csv"
		"$COPPICE" import "$store" -q "$file" --header "$work/h.csv"
		# a copy of the set may have lost its carriage returns
		cr=r
		grep -q "$(printf '\r')" "$file" && cr=none
		"$COPPICE" scan "$store" | tail -n +2 |
			perl -MJSON::PP -e 'my $j = JSON::PP->new->canonical->utf8;
				my $want = $j->decode(do { local $/; open my $f, "<", $ARGV[0]; <$f> } =~ s/\\$ARGV[1]//gr);
				for my $row (@$want) { delete @$row{grep { $row->{$_} eq "" } keys %$row} }
				my @got = map { $j->decode($_)->{properties} } <STDIN>;
				exit($j->encode($want) ne $j->encode(\@got))' \
				"$data/csv/csv-spectrum/json/$name.json" $cr
		ok $? "csv-spectrum $name: as its JSON says"
	done
else
	skip "no $data/csv" 'csv-spectrum'
fi

# ---- kuzu: what it takes, and what it refuses

kuzu=$data/csv/kuzu/dataset
# kuzu FILE RECORDS HEADER [OPTION...]
kuzu()
{
	kuzu_file=$1
	kuzu_count=$2
	fresh
	printf '%s\n' "$3" >"$work/h.csv"
	shift 3
	run import "$store" --header "$work/h.csv" "$kuzu/$kuzu_file" --json "$@"
	is "$status $(field records <"$work/out")" "0 $kuzu_count" \
		"kuzu $kuzu_file: $kuzu_count records"
}
# kuzu_refuses FILE PATTERN HEADER [OPTION...]
kuzu_refuses()
{
	kuzu_file=$1
	kuzu_reason=$2
	fresh
	printf '%s\n' "$3" >"$work/h.csv"
	shift 3
	run import "$store" --header "$work/h.csv" "$kuzu/$kuzu_file" "$@"
	like "$status $err" "7 coppice: $kuzu/$kuzu_file:$kuzu_reason*" \
		"kuzu $kuzu_file: refused"
}
if [ -d "$kuzu" ]; then
	e=csv-edge-case-tests
	kuzu $e/bom-and-data.csv 2 k:ID,v
	kuzu $e/bom-and-header.csv 1 k:ID,v
	kuzu $e/bom.csv 0 k:ID,v
	kuzu $e/empty.csv 0 k:ID,v
	kuzu $e/carriage-return-then-eof.csv 2 k:ID,v
	kuzu $e/delimiter-then-eof.csv 1 k:ID,v
	kuzu $e/empty-first-line.csv 2 k:ID,v
	kuzu $e/empty-lines-multiple-columns.csv 2 k:ID,v
	kuzu $e/eof-after-unquote.csv 1 k:ID,v
	kuzu $e/escapes-in-quote.csv 1 k:ID --escape "\\"
	like "$("$COPPICE" scan "$store")" '{"key":"abc\\\\\\"",*' 'its text'
	kuzu $e/escapes-out-of-quote.csv 2 k:ID,v --escape "\\"
	kuzu $e/mixed-empty-lines-multiple-columns.csv 2 k:ID,v
	kuzu $e/mixed-newlines.csv 3 k:ID
	kuzu $e/quoted-values.csv 1 k:ID,v
	kuzu $e/tab-as-delim.csv 2 "$(printf 'k:ID\tv')"
	kuzu $e/unquote-escape.csv 1 k:ID
	like "$("$COPPICE" scan "$store")" '{"key":"abc\\"def",*' 'its text'
	kuzu $e/list-quote.csv 15 k:ID,v
	kuzu $e/long-string.csv "$(grep -c . $kuzu/$e/long-string.csv)" k:ID,v
	# kuzu takes an empty line of one column for an empty value
	kuzu $e/empty-lines-single-column.csv 2 k:ID
	kuzu $e/mixed-empty-lines-single-column.csv 3 k:ID
	kuzu csv-multiline-quote-tests/basic.csv 1 k:ID
	kuzu csv-multiline-quote-tests/mixed-newlines.csv 1 k:ID,v
	kuzu tinysnb/eWorkAt.csv 3 ':START_ID,:END_ID,y:int,g:float[],r:double' \
		--relation workAt --dangling stub
	kuzu tinysnb/eKnows.csv 6 \
		':START_ID,:END_ID,d:date,t,i,n,s,c,m' \
		--relation knows --dangling stub
	d=csv-dialect-detection
	for delimiter in '|' ';'; do
		[ "$delimiter" = '|' ] && f=1 || f=2
		kuzu $d/eStudyAt_delim$f.csv 4 "$(echo ':START_ID,:END_ID,y,p,l,v,c,t,u,w,h' |
			tr , "$delimiter")" --relation s --dangling stub
	done
	kuzu $d/eStudyAt_escape1.csv 4 'k:ID;t;y;s' --escape "\\"
	like "$("$COPPICE" get "$store" 2 --json)" '*"s":"1919810\\"514"*' 'its text'
	kuzu $d/eStudyAt_escape2.csv 4 'k:ID;t;y;s'
	like "$("$COPPICE" get "$store" 2 --json)" '*"s":"1919810\\"514"*' 'its text'
	kuzu $d/eStudyAt_escape3.csv 4 'k:ID;t;y;s' --quote "'" --escape "\\"
	like "$("$COPPICE" get "$store" 2 --json)" '*"s":"1919810'"'"'514"*' 'its text'
	r=csv-error-tests
	kuzu_refuses $r/escape-then-eof.csv '2: the file ends after an escape' k:ID --escape "\\"
	kuzu_refuses $r/quote-then-eof.csv '2: a quote is never closed' k:ID
	kuzu_refuses $r/escape-then-bad-char.csv '2: an escape stands before' k:ID --escape "\\"
	kuzu_refuses $r/mixed-line-count-test.csv '7: 6 fields' k:ID
	kuzu_refuses $r/too-few-values.csv '2: 1 field,' k:ID,v
	kuzu_refuses $r/too-many-values.csv '2: 3 fields' k:ID
	kuzu_refuses $r/sniff_first_row.csv "3: column 'v:int': ' Eliz' is" k:ID,v:int
	sed 's/^/x/; 1d' $kuzu/$r/large-conversion-failure.csv | sed '=' |
		paste -d, - - | sed 's/x//' >"$work/large.csv"
	fresh
	printf 'k:ID,col:INT64\n' >"$work/h.csv"
	run import "$store" "$work/large.csv" --header "$work/h.csv"
	like "$status $err" "7 *:1001: column 'col:INT64': 'a' is not a whole number*" \
		'kuzu large-conversion-failure.csv: refused'
	fresh
	takes 'kuzu vPerson.csv, by its own header' "$kuzu/tinysnb/vPerson.csv"
	is "$("$COPPICE" scan "$store" | grep -c '"fname"')" 5 'is five entities'
else
	skip "no $kuzu" 'kuzu'
fi

# ---- air routes

air=$data/airroutes
if [ -d "$air" ]; then
	fresh
	takes 'air routes' "$air/air-routes-latest-nodes.csv" \
		"$air/air-routes-latest-edges.csv"
	is "$("$COPPICE" stat "$store" --json | field entities) $("$COPPICE" stat "$store" --json | field edges)" \
		'3749 57645' 'all nodes and edges are there'
	like "$("$COPPICE" get "$store" 1 --json)" \
		'{"key":"1","type":"airport",*"code":"ATL",*"runways":5,*"lat":33.6366996765137,*' \
		'with their types'
	run get "$store" 1 --edges --json
	like "$out" '*"relation":"route","target":"3","properties":{"id":"3749","dist":809}*' \
		'and so are the edges'
	fresh
	exits 7 'a tree with a misspelt node' import "$store" \
		"$air/tree-with-500-nodes-nodes.csv" \
		"$air/tree-with-500-nodes-edges.csv"
	like "$err" "*-edges.csv:500: an edge's end 'nod-900' is not there*" \
		'says where it is'
else
	skip "no $air" 'air routes'
fi

"$COPPICE" detach "$store"
done_testing
