#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_round: real graphs are the same after a way through another format.
. "$(dirname "$0")/tap.sh"

# What a format has no place for is put as it has it, in a dump as in what
# comes back, and nothing else is:
#  - csv: an empty cell is none, and so an empty text or list; a column of
#    which a list has items that cannot stand between `;` has JSON as text; a
#    property has the place of its column, so members are in order of their
#    names; parallel edges are told apart by where they stand in the file, so
#    their discriminators are others.
#  - graphml: there are no lists, they are JSON as text.
# canonical FORMAT FILE
canonical()
{
	python3 - "$@" <<-'END'
	import json, sys
	way, file = sys.argv[1:]

	def is_cut(value):
	    return isinstance(value, list) and any(
	        ';' in str(item) for item in value)

	records = [json.loads(line) for line in open(file, encoding='utf-8')]
	# of entities and edges, by name
	texts = {('key' in record, name) for record in records
	         for name, value in record['properties'].items()
	         if way == 'graphml' or is_cut(value)}
	lines = []
	for record in records:
	    have = record['properties']
	    for name, value in have.items():
	        if isinstance(value, list) and ('key' in record, name) in texts:
	            have[name] = json.dumps(value, ensure_ascii=False,
	                                    separators=(',', ':'))
	    if way == 'csv':
	        record.pop('discriminator', None)
	        record['properties'] = {name: value for name, value
	                                in have.items() if value not in ('', [])}
	    lines.append(json.dumps(record, sort_keys=True))
	print('\n'.join(sorted(lines)))
	END
}

# same FORMAT NAME: what is in the store is what is in the dump
same()
{
	"$COPPICE" export "$store" --quiet >"$work/back"
	canonical "$1" "$work/dump" >"$work/dump.$1"
	canonical "$1" "$work/back" | diff "$work/dump.$1" - >"$work/diff"
	ok $? "$2" || diag "$(grep -c '^<' "$work/diff") lines differ" \
		"$(head -c 1000 "$work/diff")"
}

# made FILE...: a store of them
made()
{
	fresh
	run import "$store" "$@" --dangling skip --quiet
	[ "$status" = 0 ] || diag "$err"
}

# round NAME FILE...: by way of a dump, of GraphML and of neo4j-admin's CSV
round()
{
	name=$1
	shift
	made "$@"
	"$COPPICE" export "$store" --quiet >"$work/dump"
	"$COPPICE" export "$store" --format graphml --quiet \
		>"$work/way.graphml"
	"$COPPICE" export "$store" --format csv --output "$work/way" --force \
		--quiet
	[ -s "$work/dump" ]
	ok $? "$name: there is something to export"
	made "$work/dump"
	"$COPPICE" export "$store" --quiet | cmp -s "$work/dump" -
	ok $? "$name: a dump of its dump is the same"
	made "$work/way.graphml"
	same graphml "$name: as GraphML it is the same graph"
	made "$work/way-nodes.csv" "$work/way-relationships.csv"
	same csv "$name: as CSV it is, too"
}

# The same to the byte where GraphML has a place for all of it.
# exact NAME
exact()
{
	made "$work/way.graphml"
	"$COPPICE" export "$store" --quiet | cmp -s "$work/dump" -
	ok $? "$1: as GraphML its dump is the same to the byte"
}

air=$data/airroutes
[ -d "$air" ] || skip_all 'no real data here'
round 'air routes' "$air/air-routes-latest-nodes.csv" \
	"$air/air-routes-latest-edges.csv"
exact 'air routes'
cp "$work/dump" "$work/latest"
round 'some air routes' "$air/air-routes-small.graphml"
exact 'some air routes'

# They are two files of one author and day, some airports in GraphML, all in
# CSV.  By the way, each numbers its edges for itself, so their ids are others,
# and GraphML has its data in another order.  What else differs is one route
# between two of the airports, which the GraphML file does not have.
python3 - "$work/latest" "$work/dump" >"$work/told" <<-'END'
	import json, sys

	def graph(file):
	    out = {}
	    for line in open(file, encoding='utf-8'):
	        record = json.loads(line)
	        name = record.get('key') or tuple(
	            record.get(end) for end in ('source', 'relation', 'target'))
	        if isinstance(name, tuple):
	            del record['properties']['id']
	        assert name not in out, name
	        out[name] = record
	    return out

	every, some = map(graph, sys.argv[1:])
	other = [name for name in some if every.get(name) != some[name]]
	more = [name for name in every if name not in some and
	        isinstance(name, tuple) and name[0] in some and name[2] in some]
	print(len(some) - len(other), 'alike,', len(other), 'other, only in CSV:',
	      ', '.join(' '.join(name) for name in more))
	END
is "$(cat "$work/told")" \
	'1437 alike, 0 other, only in CSV: 41 route 24' \
	'CSV and GraphML of air routes give the same graph, but for one route'
is "$(grep -c '^[0-9]*,41,24,' "$air/air-routes-latest-edges.csv") $(
	grep -c "source='41' target='24'" "$air/air-routes-small.graphml")" \
	'1 0' 'which is so in the files themselves'

round 'a football season' "$air/epl-2013-2014.graphml"
round 'a tree' "$air/tree-with-500-nodes-nodes.csv" \
	"$air/tree-with-500-nodes-edges.csv"
made "$air/tree-with-500-nodes-nodes.csv"
is "$(figure entities)" 500 'it has 500 nodes'

# Parts of graphs of texts, lists, tags and UTF-8.
if [ -d "$data/misp" ]; then
	gzip -dc "$data/misp/misp_entities.jsonl.gz" | head -3000 \
		>"$work/part.jsonl"
	round 'a part of MISP' "$work/part.jsonl" "$data/misp/misp_edges.csv.gz"
	is "$(grep -c '"tags":\[[^]]*:' "$work/dump")" 1 \
		'tags of 1 entity have a : in them'
else
	skip "no $data/misp" 'a part of MISP'
fi
if [ -d "$data/oewn" ]; then
	gzip -dc "$data/oewn/oewn2022_nodes.jsonl.gz" | head -3000 \
		>"$work/part.jsonl"
	round 'a part of WordNet' "$work/part.jsonl" \
		"$data/oewn/oewn2022_edges.csv.gz"
	is "$(grep -c '\["[^]]*;[^]]*"\]' "$work/dump")" 8 \
		'lists of 8 entities have a ; in an item'
else
	skip "no $data/oewn" 'a part of WordNet'
fi

# What the libraries' own tests read.
[ -d "$data/graphml" ] || skip "no $data/graphml" 'graphs of other libraries'
for file in $(find "$data/graphml" -name '*.graphml' 2>/dev/null | sort); do
	round "${file#"$data/graphml/"}" "$file"
done

# Without names in the files: a header of our own.
# kuzu NAME HEADER [OPTION...]
kuzu()
{
	table=$1
	printf '%s\n' "$2" >"$work/header"
	shift 2
	round "kuzu $table" --header "$work/header" "$@" \
		"$data/csv/kuzu/dataset/tinysnb/$table"
}
if [ -d "$data/csv/kuzu" ]; then
	round 'kuzu vPerson.csv' "$data/csv/kuzu/dataset/tinysnb/vPerson.csv"
	kuzu vOrganisation.csv \
		':ID,name,code:int,mark:double,score:int,history,licence,rating:double,state,info' \
		--escape '\'
	kuzu vMovies.csv ':ID,length:int,note,description,raw,audience,grade'
else
	skip "no $data/csv/kuzu" 'tables of kuzu'
fi

# Names and values that look like something else in a format.
cat >"$work/odd" <<-'END'
	{"key":"a","type":"x:T","tags":["b","tlp:white"],"properties":{"a:long":7,"list":["p;q","r"],"type":"pt"}}
	{"key":"b","tags":["only"],"properties":{":LABEL":"z","a:b":"1","key":"k","list":["s"],"tags":"t","type":"q"},"content":"text"}
	{"key":"c","properties":{"empty":[""],"mixed":[1,"a"],"type":"q","vector":[1,2]}}
	{"key":"q","type":"[\"t\"]"}
	{"source":"a","relation":"R","target":"b","properties":{"relation":"t2","type":"t1"}}
	{"source":"a","relation":"R","target":"b","discriminator":7,"properties":{"id":1}}
END
made "$work/odd"
"$COPPICE" export "$store" --quiet >"$work/dump"
run export "$store" --format graphml --output "$work/odd-graphml"
is "$err" '4 entities, 2 edges' 'odd names: GraphML has a place for all'
run export "$store" --format csv --output "$work/odd-csv"
is "$err" 'coppice: 1 value has no place in this format and was left out
4 entities, 2 edges' 'odd names: CSV has one for all but a discriminator'
made "$work/odd-graphml"
run export "$store" --quiet
is "$out" "$(cat <<-'END'
	{"key":"a","type":"x:T","tags":["b","tlp:white"],"properties":{"a:long":7,"list":"[\"p;q\",\"r\"]","type":"pt"},"content":null,"vector":null}
	{"key":"b","type":null,"tags":["only"],"properties":{":LABEL":"z","a:b":"1","key":"k","list":"[\"s\"]","tags":"t","type":"q"},"content":"text","vector":null}
	{"key":"c","type":null,"tags":[],"properties":{"empty":"[\"\"]","mixed":"[1,\"a\"]","type":"q","vector":"[1,2]"},"content":null,"vector":null}
	{"key":"q","type":"[\"t\"]","tags":[],"properties":{},"content":null,"vector":null}
	{"source":"a","relation":"R","target":"b","properties":{"relation":"t2","type":"t1"}}
	{"source":"a","relation":"R","target":"b","discriminator":7,"properties":{"id":1}}
END
)" 'odd names by way of GraphML: but for lists it is what was there'
made "$work/odd-csv-nodes.csv" "$work/odd-csv-relationships.csv"
run export "$store" --quiet
is "$out" "$(cat <<-'END'
	{"key":"a","type":"x:T","tags":["b","tlp:white"],"properties":{"a:long":7,"list":"[\"p;q\",\"r\"]","type":"pt"},"content":null,"vector":null}
	{"key":"b","type":null,"tags":["only"],"properties":{":LABEL":"z","a:b":"1","key":"k","list":"[\"s\"]","tags":"t","type":"q"},"content":"text","vector":null}
	{"key":"c","type":null,"tags":[],"properties":{"empty":"[\"\"]","mixed":"[1,\"a\"]","type":"q","vector":[1,2]},"content":null,"vector":null}
	{"key":"q","type":"[\"t\"]","tags":[],"properties":{},"content":null,"vector":null}
	{"source":"a","relation":"R","target":"b","properties":{"relation":"t2","type":"t1"}}
	{"source":"a","relation":"R","target":"b","discriminator":2,"properties":{"id":1}}
END
)" 'odd names by way of CSV: but for lists that it cannot have, too'

# Numbers of both kinds in a column.
cat >"$work/odd" <<-'END'
	{"key":"a","properties":{"both":1,"far":9007199254740993,"long":9007199254740993,"some":[1e16,1],"wide":[0.5,9007199254740993]}}
	{"key":"b","properties":{"both":0.5,"far":0.5,"long":1,"some":[2],"wide":[1]}}
END
made "$work/odd"
exits 0 'numbers of both kinds as CSV' export "$store" --format csv --output "$work/numbers"
exits 0 'and as GraphML' export "$store" --format graphml --output "$work/numbers.graphml"
made "$work/numbers-nodes.csv"
is "$("$COPPICE" get "$store" a --json | field properties)" \
	'{"both":1,"far":"9007199254740993","long":9007199254740993,"some":[10000000000000000,1],"wide":"[0.5,9007199254740993]"}' \
	'are doubles, or texts where one has no double'
made "$work/numbers.graphml"
is "$("$COPPICE" get "$store" a --json | field properties)" \
	'{"both":1,"far":"9007199254740993","long":9007199254740993,"some":"[1e+16,1]","wide":"[0.5,9007199254740993]"}' \
	'by way of GraphML, too'

# Vectors, beside properties that are called as they are.
fresh 3
python3 - >"$work/vectors" <<-'END'
	import json, random, struct
	random.seed(5)
	for i in range(2000):
	    bits = [random.getrandbits(32) & 0xbfffffff for _ in range(3)]
	    record = {'key': f'k{i}', 'properties': {'n': i}}
	    if i % 7:
	        record['vector'] = struct.unpack('3f', struct.pack('3I', *bits))
	    if i % 3 == 0:
	        record['properties']['vector'] = [i + 0.5, 2.0]
	    print(json.dumps(record))
	print('{"key":"z","vector":[1,-0.0,1e-45]}')
	END
run import "$store" "$work/vectors" --quiet
"$COPPICE" export "$store" --quiet >"$work/dump"
exits 0 'vectors by way of CSV' export "$store" --format csv --vector \
	--output "$work/vectors"
is "$(head -n 1 "$work/vectors-nodes.csv")" \
	':ID,:LABEL,n:long,vector:double[],vector:float[]' \
	'are told apart from a property'
fresh 3
run import "$store" "$work/vectors-nodes.csv" --quiet
"$COPPICE" export "$store" --quiet | cmp -s "$work/dump" -
ok $? 'vectors by way of CSV: their dump is the same to the byte'

# Keys and texts that a format cannot have.
cat >"$work/bad" <<-'END'
	{"key":"\ufffd","key_hex":"ff"}
	{"key":"a\u0001","type":"T"}
	{"key":"a\u0002","type":"T"}
	{"key":"b","type":"T","properties":{"p":"x\uffffy","~id":"8"}}
	{"key":"n\u0000","type":"T"}
	{"source":"b","relation":"R","target":"a\u0001"}
	{"source":"a\u0002","relation":"R","target":"b"}
	{"source":"b","relation":"R","target":"b"}
END
# way FORMAT FILE...: what it says, and what comes of it
way()
{
	format=$1
	shift
	made "$work/bad"
	run export "$store" --format "$format" --output "$work/bad.$format" \
		--force
	said=$err
	made "$@"
	run export "$store" --quiet
}
way graphml "$work/bad.graphml"
is "$said" 'coppice: 1 value has no place in this format and was left out
coppice: 4 entities with a key that this format cannot have, left out with all edges
1 entity, 1 edge' 'GraphML: keys that XML cannot have are left out, and told'
is "$out" '{"key":"b","type":"T","tags":[],"properties":{"p":"x�y","~id":"8"},"content":null,"vector":null}
{"source":"b","relation":"R","target":"b","properties":{}}' \
	'and none is taken for another'
way csv "$work/bad.csv-nodes.csv" "$work/bad.csv-relationships.csv"
is "$said" 'coppice: 1 value has no place in this format and was left out
coppice: 2 entities with a key that this format cannot have, left out with all edges
3 entities, 3 edges' 'CSV: keys that are no text are left out, and told'
is "$(figure entities) $(figure edges)" '3 3' 'and the rest comes back'
made "$work/bad"
echo '{"key":"l","properties":{"p":[1,null,2]}}' >"$work/null"
run import "$store" "$work/null"
run export "$store" --format nt --output "$work/bad.nt"
is "$err" 'coppice: 2 values have no place in this format and were left out
6 entities, 3 edges' 'nt: a null in a list, and an entity without a statement'
exits 0 'and it can be read' import "$store" "$work/bad.nt"

# Keys that are too long as an IRI, or no IRI since they are no text.
perl -MJSON::PP -e 'sub line { print encode_json($_[0]), "\n" }
	my ($long, $odd) = ("k" x 465, "k " x 117);
	line({key => $_, type => "T"}) for $long, substr($long, 1), $odd,
		substr($odd, 2), "urn:" . "k" x 476, "urn:k", "x\0:k";
	print qq({"key":"u","key_hex":"75726e3aff","type":"T"}\n);
	line({source => "urn:k", relation => "R", target => $_})
		for $long, substr($long, 1), $odd, "urn:k"' >"$work/bad"
way nt "$work/bad.nt"
is "$said" 'coppice: 2 entities with a key that this format cannot have, left out with all edges
6 entities, 2 edges' 'nt: keys that are too long as an IRI are left out, and told'
is "$(figure entities) $(figure edges)" '6 2' 'and the rest comes back'
like "$out" '*"urn:coppice:key:urn:%FF"*' 'with a key that is no text, escaped'
like "$out" '*"urn:coppice:key:x%00:k"*' 'and one with a NUL'

# What a set of values is not.
cat >"$work/bad" <<-'END'
	{"key":"urn:1","properties":{"p":["x"],"q":[],"r":[1,"1",1.0,true,1]}}
	{"key":"urn:2","properties":{"p":["x","x"],"q":["x","y"],"z":"a\u0000b"}}
END
way nt "$work/bad.nt"
is "$said" 'coppice: 1 value has no place in this format and was left out
coppice: 3 lists of one item, or with an item twice, will not be read back as they are
2 entities, 0 edges' 'nt: lists that are no sets, and empty ones, are told'
is "$out" '{"key":"urn:1","type":null,"tags":[],"properties":{"urn:coppice:property:p":"x","urn:coppice:property:r":[1,"1",1.0,true]},"content":null,"vector":null}
{"key":"urn:2","type":null,"tags":[],"properties":{"urn:coppice:property:p":"x","urn:coppice:property:q":["x","y"],"urn:coppice:property:z":"a\u0000b"},"content":null,"vector":null}' \
	'and come back as sets; a text with a NUL is the same'

# What the way has no place for is said.
fresh
echo '{"key":"a","content":"c","properties":{"content":"p"}}' >"$work/twice"
run import "$store" "$work/twice"
for format in graphml csv; do
	exits 0 "$format of a property that is called content" export \
		"$store" --format $format --output "$work/left" --force
	like "$err" '*1 value has no place*' 'tells that it is left out'
done
made "$work/left-nodes.csv"
run get "$store" a --json
like "$out" '*"properties":{},"content":"c"*' 'and what is there is the content'
done_testing
