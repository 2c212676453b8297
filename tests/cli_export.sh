#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_export: what is exported is what is there, in each format; as NDJSON it is
# a copy: imported and exported again it is the same, byte for byte.
. "$(dirname "$0")/tap.sh"

copy_is_same()
{
	exits 0 "$1: a store for the copy" init "$work/copy" --dim "$2"
	exits 0 'the export is imported' import "$work/copy" "$work/first" -q
	exits 0 'and exported again' export "$work/copy" --output "$work/second" -q
	cmp -s "$work/first" "$work/second"
	ok $? 'which is the same'
	exits 0 'detach' detach "$work/copy"
	rm -r "$work/copy" "$work/first" "$work/second"
}

exits 0 'init' init "$store" --dim 2
cat >"$work/in" <<-'END'
	{"key":"b","type":"thing","tags":["z","a"],"properties":{"n":1,"x":2.5,"on":true},"vector":[1,0.25]}
	{"key":"a","type":"thing","properties":{"n":2,"list":["p","q;r"],"say":"a, \"b\"\n<c>"},"content":"text & more"}
	{"key":"urn:x:1","tags":["only"],"properties":{"n":3.5,"list":["s"],"map":{"k":[1,null]}}}
	{"key":"c","content_base64":"AP/+gA==","timed":[{"tag":"old","valid_to":"1990"}]}
	{"source":"b","relation":"knows","target":"a","properties":{"w":1}}
	{"source":"b","relation":"knows","target":"a","discriminator":7}
	{"source":"a","relation":"sees","target":"urn:x:1","valid_from":"1815"}
	{"source":"b","relation":"is","target":"b"}
END
exits 0 'import' import "$store" "$work/in" -q

# ---- ndjson

exits 0 'export' export "$store"
is "$(printf '%s\n' "$out" | sed 's/^{"\(key\|source\)":"\([^"]*\).*/\2/' | tr '\n' ' ')" \
	'a b c urn:x:1 a b b b ' 'is in the order of keys, edges by their sources'
like "$out" '*"key":"b","type":"thing","tags":?"a","z"?*' 'tags are in order, too'
like "$out" '*"content":null,"content_base64":"AP/+gA=="*' \
	'content that is no text is there'
printf '%s\n' "$out" >"$work/first"
copy_is_same 'as NDJSON' 2

exits 0 'get the content' content get "$store" c
is "$(printf '%s' "$out" | od -An -tx1 | tr -d ' ')" "$(printf '\000\377\376\200' | tr -d '\000' | od -An -tx1 | tr -d ' ')" \
	'base64 was taken for the bytes it says'
echo '{"key":"d","content_base64":"AP*+gA=="}' >"$work/bad"
exits 7 'what is no base64' import "$store" "$work/bad"
like "$err" '*content_base64*' 'is refused'

# ---- selections

exits 0 'of a type' export "$store" --type thing
is "$(printf '%s\n' "$out" | grep -c '"source"')" 3 \
	'with the edges of which both ends are of it'
exits 0 'around an entity' export "$store" --around urn:x:1 --hops 1
is "$(printf '%s\n' "$out" | grep -c '"key"')" 2 'has who is near'
is "$(printf '%s\n' "$out" | grep -c '"source"')" 1 'and what is between them'
exits 1 'around nobody' export "$store" --around nobody
exits 2 'hops around nothing' export "$store" --hops 2
echo '{"key":"b","type":"other"}' | "$COPPICE" put "$store" >/dev/null
exits 0 'as of before' export "$store" --as-of 1
like "$out" '*"key":"b","type":"thing"*' 'is what it was'

# ---- files

exits 0 'to a file' export "$store" --as-of 1 --output "$work/file"
like "$err" '*4 entities, 4 edges*' 'says how much'
exits 2 'to one that is there' export "$store" --output "$work/file"
exits 0 'to replace it' export "$store" --output "$work/file" --force
exits 2 'into a store' export "$store" --output "$store/gen-000001/data.mdb" --force
exits 2 'two files to one output' export "$store" --format csv

# ---- csv

exits 0 'csv' export "$store" --as-of 1 --format csv --output "$work/csv" --vector
is "$(cat "$work/csv-nodes.csv")" ':ID,:LABEL,list:string,map:string,n:double,on:boolean,say:string,x:double,content:string,vector:float[]
a,thing,"[""p"",""q;r""]",,2,,"a, ""b""
<c>",,text & more,
b,thing;a;z,,,1,true,,2.5,,1;0.25
c,,,,,,,,,
urn:x:1,;only,"[""s""]","{""k"":[1,null]}",3.5,,,,,' 'has columns with types, and cells'
is "$(cat "$work/csv-relationships.csv")" ':START_ID,:END_ID,:TYPE,w:long
a,urn:x:1,sees,
b,b,is,
b,a,knows,1
b,a,knows,' 'and the edges'
like "$err" '*left out*' 'and says that something has no place'

# ---- graphml, triples, dot

exits 0 'graphml' export "$store" --as-of 1 --format graphml
printf '%s\n' "$out" >"$work/graphml"
python3 - "$work/graphml" <<-'END'
	import sys, xml.etree.ElementTree as tree
	root = tree.parse(sys.argv[1]).getroot()
	name = '{http://graphml.graphdrawing.org/xmlns}'
	keys = {k.get('id'): k.get('attr.name') for k in root.iter(name + 'key')}
	nodes = {n.get('id'): {keys[d.get('key')]: d.text for d in n}
	         for n in root.iter(name + 'node')}
	assert sorted(nodes) == ['a', 'b', 'c', 'urn:x:1'], nodes
	assert nodes['a']['say'] == 'a, "b"\n<c>', nodes['a']
	assert nodes['b']['labels'] == ':thing:a:z', nodes['b']
	assert len(list(root.iter(name + 'edge'))) == 4
END
ok $? 'is XML that says so'
exits 0 'triples' export "$store" --as-of 1 --format nt
like "$out" '*<urn:coppice:key:b> <urn:coppice:relation:knows> <urn:coppice:key:a> .*' \
	'an edge is a triple'
like "$out" '*<urn:x:1> <urn:coppice:property:n> "3.5"^^<http://www.w3.org/2001/XMLSchema#double> .*' \
	'a property, too, of an IRI as it is'
exits 0 'dot' export "$store" --as-of 1 --format dot
like "$out" 'digraph {*"b" -> "a" ?label="knows"?;*}' 'is a graph'

# ---- npy

exits 0 'npy' export "$store" --as-of 1 --format npy --output "$work/vectors"
is "$(cat "$work/vectors.ids")" b 'a key for each row'
exits 0 'another store' init "$work/copy" --dim 2
echo '{"key":"b"}' | "$COPPICE" put "$work/copy" >/dev/null
exits 0 'takes it' import "$work/copy" "$work/vectors.npy" --ids "$work/vectors.ids"
exits 0 'get' get "$work/copy" b --vector --json
like "$out" '*"vector":?1,0.25?*' 'as it was'
exits 0 'detach' detach "$work/copy"
rm -r "$work/copy"

# ---- real data

data=${COPPICE_TEST_DATA:-../shared/data}
for set in misp oewn; do
	if [ ! -d "$data/$set" ]; then
		skip "$data/$set is not there"
		continue
	fi
	exits 0 "$set" init "$work/real" --dim 0
	exits 0 'import' import "$work/real" -q --dangling skip \
		"$data/$set"/*s.jsonl* "$data/$set"/*edges.csv*
	exits 0 'export' export "$work/real" -q --output "$work/first"
	copy_is_same "$set" 0
	exits 0 'detach' detach "$work/real"
	rm -r "$work/real"
done

# ---- where to

: >"$work/file"
for name in none/out file/out none/more/out; do
	exits 2 "an export to $name" export "$store" --output "$work/$name"
	is "$err" "coppice: $work/$name: there is no folder for it; make one, or name another file" \
		'says that there is no folder'
done
exits 2 'refused records, too' import "$store" "$work/in" --reject "$work/none/out"
like "$err" '*there is no folder*' 'says so, too'

done_testing
