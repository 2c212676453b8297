#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_import_graphml: GraphML into the store.
. "$(dirname "$0")/tap.sh"

# holds ENTITIES EDGES NAME
holds()
{
	is "$(figure entities) $(figure edges)" "$1 $2" "$3"
}

# file NAME: $work/NAME from a body on standard input
file()
{
	{
		echo '<?xml version="1.0" encoding="UTF-8"?>'
		echo '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
		cat
		echo '</graphml>'
	} >"$work/$1"
}

# entity KEY: as JSON, and edge lines
entity()
{
	"$COPPICE" get "$store" "$1" --json
}

edges()
{
	"$COPPICE" get "$store" "$1" --json --edges | sed 1d
}

# ---- keys and values

fresh
file values.graphml <<'EOT'
<key id="b" for="node" attr.name="yes" attr.type="boolean"/>
<key id="i" for="node" attr.name="whole" attr.type="int"/>
<key id="l" for="all" attr.name="long" attr.type="long"/>
<key id="f" for="node" attr.name="single" attr.type="float"/>
<key id="d" for="node" attr.name="real" attr.type="double"/>
<key id="s" for="node" attr.name="text" attr.type="string"/>
<key id="c" for="node" attr.name="color"><default>yellow</default></key>
<key id="w" for="edge" attr.name="weight" attr.type="double"><default>2</default></key>
<graph edgedefault="directed">
<node id="a"><data key="b"> True </data><data key="i">-7</data>
<data key="l">9223372036854775807</data><data key="f">0.5</data>
<data key="d"> 1e3 </data><data key="s"> &lt;&#228;&amp;<![CDATA[<x>]]> </data>
<data key="c">red</data></node>
<node id="b"><data key="b">0</data><data key="d">NaN</data><data key="i"/>
<data key="f">INF</data><data key="s"></data><desc>told</desc></node>
<edge source="a" target="b"><data key="l">1</data></edge>
</graph>
EOT
exits 0 'a file of all types' import "$store" "$work/values.graphml"
is "$(entity a)" '{"key":"a","type":null,"tags":[],"properties":{"yes":true,"whole":-7,"long":9223372036854775807,"single":0.5,"real":1000.0,"text":" <ä&<x> ","color":"red"},"content":null}' \
	'values have their types'
is "$(entity b | field properties)" '{"color":"yellow","desc":"told","single":"INF","text":"","yes":false}' \
	'defaults are given, NaN and empty numbers are none'
is "$(edges a)" '{"source":"a","relation":"edge","target":"b","properties":{"long":1,"weight":2.0}}' \
	'an edge with a default'
exits 0 'again' import "$store" "$work/values.graphml"
holds 2 1 'nothing is there twice'
gzip -c "$work/values.graphml" >"$work/packed"
run import "$store" - <"$work/packed"
is "$status" 0 'gzip on standard input, told by content'
for as in UTF-16 UTF-16BE ISO-8859-1; do
	fresh
	sed "s/UTF-8/$as/; s/&#228;/ä/" "$work/values.graphml" |
		iconv -f UTF-8 -t "$as" >"$work/$as.graphml"
	exits 0 "$as" import "$store" "$work/$as.graphml"
	is "$(entity a | field properties | grep -c '<ä&<x>')" 1 'is read'
done

# ---- types and relations

fresh
file types.graphml <<'EOT'
<key id="labels" for="node" attr.name="labels"/><key id="v" for="node" attr.name="labelV"/>
<key id="t" for="node" attr.name="type"/><key id="e" for="edge" attr.name="labelE"/>
<key id="label" for="edge" attr.name="label"/><key id="rt" for="edge" attr.name="type"/>
<key id="name" for="node" attr.name="label"/>
<graph id="G" edgedefault="directed">
<node id="n0" labels=":Person:Admin"><data key="labels">:Person:Admin</data></node>
<node id="n1"><data key="v">Team::Club</data><data key="t">League</data><data key="name">one</data></node>
<node id="n2"><data key="t">thing</data></node>
<node id="n3"/>
<edge id="e0" source="n0" target="n1" label="KNOWS"><data key="label">KNOWS</data><data key="rt">x</data></edge>
<edge id="e1" source="n1" target="n2"><data key="e">won</data></edge>
</graph>
EOT
exits 0 'types' import "$store" "$work/types.graphml" --type Usual
is "$(entity n0)" '{"key":"n0","type":"Person","tags":["Admin"],"properties":{},"content":null}' "Neo4j's labels"
is "$(entity n1)" '{"key":"n1","type":"Team","tags":["Club"],"properties":{"type":"League","label":"one"},"content":null}' "TinkerPop's"
is "$(entity n2 | field type) $(entity n3 | field type)" 'thing Usual' 'the data type, and --type'
is "$(edges n0)" '{"source":"n0","relation":"KNOWS","target":"n1","properties":{"id":"e0","type":"x"}}' \
	"Neo4j's label of an edge, before all"
is "$(edges n1 | grep '"n2"')" '{"source":"n1","relation":"won","target":"n2","properties":{"id":"e1"}}' \
	"TinkerPop's labelE"
fresh
exits 0 'other keys' import "$store" "$work/types.graphml" --type-key label \
	--relation-key none --relation link
is "$(entity n1 | field type) $(entity n2 | field type)" 'one null' '--type-key'
is "$(edges n1 | grep '"n2"' | field relation)" link '--relation-key and --relation'

# ---- yEd

fresh
file yed.graphml <<'EOT'
<key for="node" id="d6" yfiles.type="nodegraphics"/><key for="edge" id="d10" yfiles.type="edgegraphics"/>
<key attr.name="url" attr.type="string" for="node" id="d4"/>
<graph edgedefault="directed" id="G"><data key="d0"/>
<node id="n0"><data key="d4"/><data key="d6">
 <y:ShapeNode xmlns:y="http://www.yworks.com/xml/graphml"><y:Geometry height="30.0"/>
 <y:NodeLabel alignment="center">A
label<y:LabelModel>no</y:LabelModel></y:NodeLabel><y:NodeLabel>second</y:NodeLabel></y:ShapeNode></data></node>
<node id="n1" yfiles.foldertype="group"><data key="d6"><y:NodeLabel/></data>
 <graph edgedefault="directed" id="n1:"><node id="n1::n0"/>
  <node id="n1::n1"><graph id="x"><node id="deep"/></graph></node>
  <edge id="n1::e0" source="n1::n0" target="deep"/></graph><data key="d4">late</data></node>
<edge id="e0" source="n0" target="n1" sourceport="North" targetport="South"><port name="p"/>
 <data key="d10"><y:PolyLineEdge><y:EdgeLabel>sees</y:EdgeLabel></y:PolyLineEdge></data></edge>
</graph>
EOT
exits 0 'a file of yEd' import "$store" "$work/yed.graphml"
holds 5 5 'nodes of groups are entities, with an edge to the group'
is "$(entity n0 | field properties)" '{"label":"A\nlabel","url":""}' \
	'the first label'
is "$(edges n0)" '{"source":"n0","relation":"sees","target":"n1","properties":{"id":"e0","sourceport":"North","targetport":"South"}}' \
	'the label of an edge is its relation, ports are properties'
is "$(edges deep | grep '"source":"deep"')" \
	'{"source":"deep","relation":"inside","target":"n1::n1","properties":{}}' \
	'a graph in a graph'
is "$(entity n1 | field properties)" '{"url":"late"}' 'data after a graph count'
like "$err" '*left out 2 elements*' 'what is left out is told'

# ---- hyperedges, parallel edges, undirected ones

fresh
file many.graphml <<'EOT'
<key id="w" for="edge" attr.name="w" attr.type="int"/>
<key id="n" for="hyperedge" attr.name="n"/>
<graph id="G" edgedefault="undirected"><node id="a"/><node id="b"/>
<hyperedge><endpoint node="a" type="in"/><endpoint node="b" port="p"/><endpoint node="b" port="q"/><data key="n">x</data></hyperedge>
<hyperedge id="h"><endpoint node="a"/></hyperedge>
<edge source="a" target="b"><data key="w">1</data></edge>
<edge source="a" target="b"><data key="w">2</data></edge>
<edge source="a" target="b" directed="true"><data key="w">3</data></edge>
<edge source="b" target="a"><data key="w">4</data></edge></graph>
EOT
exits 0 'hyperedges and parallel edges' import "$store" "$work/many.graphml"
holds 4 8 'none is lost'
exits 0 'again' import "$store" "$work/many.graphml"
holds 4 8 'none is there twice'
is "$(entity 'hyperedge 1')" '{"key":"hyperedge 1","type":"hyperedge","tags":[],"properties":{"n":"x"},"content":null}' \
	'a hyperedge is an entity, with the data after its ends'
is "$(edges 'hyperedge 1' | grep -c '"relation":"endpoint"')" 3 'that has edges to them'
is "$(edges a | grep '"source":"a"' | sed 's/.*properties"://')" \
	'{"directed":false,"w":1}}
{"directed":false,"w":2}}
{"w":3}}' 'edges without a direction say so'
perl -e 'print "<graphml><graph edgedefault=\"directed\"><node id=\"a\"/>",
	"<edge source=\"a\" target=\"a\"/>" x 50000, "</graph></graphml>"' >"$work/same.graphml"
exits 0 'fifty thousand of the same kind' import "$store" "$work/same.graphml"
holds 4 50008 'are as many edges'

# ---- edges before their nodes

fresh
file before.graphml <<'EOT'
<graph edgedefault="directed"><edge source="a" target="b"/><edge source="a" target="c"/>
<node id="b" labels=":B"/><node id="a" labels=":A"/></graph>
EOT
exits 7 'edges before nodes' import "$store" "$work/before.graphml"
like "$err" "*before.graphml:3: *'a' is not there*" 'are refused, with the line'
exits 0 'with --dangling=stub' import "$store" "$work/before.graphml" --dangling stub --batch 1
holds 3 2 'all are there'
is "$(entity a | field type)$(entity b | field type)$(entity c | field type)" ABnull \
	'nodes take the place of stubs'

# ---- damaged

fresh
# bad NAME LINE PATTERN: $work/body, which is line 3 on, is refused
bad()
{
	file bad.graphml <"$work/body"
	run import "$store" "$work/bad.graphml"
	is "$status" 7 "$1: refused"
	like "$err" "coppice: $work/bad.graphml:$2: $3" "$1: says where and why"
}
g='<graph edgedefault="directed"><node id="a"/>'
echo "$g<node/></graph>" >"$work/body"
bad 'a node without an id' 3 'a <node> has no id*'
printf '%s\n' "$g" '<edge source="a"/></graph>' >"$work/body"
bad 'an edge without a target' 4 'an <edge> has no target*'
echo "$g<edge target='a'/></graph>" >"$work/body"
bad 'an edge without a source' 3 '*no source*'
echo "<key id='k' attr.name='k' attr.type='int'/>$g<node id='x'><data key='k'>1,5</data></node></graph>" >"$work/body"
bad 'a decimal comma' 3 "data of key 'k': '1,5' is not a whole number*"
echo "<key id='k' attr.type='double'/>$g<node id='x'><data key='k'>1,5</data></node></graph>" >"$work/body"
bad 'a decimal comma in a real number' 3 "data of key 'k': '1,5' is not a number*"
echo "<key id='k' attr.type='long'/>$g<node id='x'><data key='k'>9223372036854775808</data></node></graph>" >"$work/body"
bad 'a number that is too big' 3 '*is not a whole number of 64 bits*'
echo "<key id='k' attr.type='boolean'/>$g<node id='x'><data key='k'>yes</data></node></graph>" >"$work/body"
bad 'a truth value' 3 '*is not true or false*'
echo "$g<node id='x'><data>1</data></node></graph>" >"$work/body"
bad 'data without a key' 3 'a <data> has no key*'
echo "$g<hyperedge><endpoint/></hyperedge></graph>" >"$work/body"
bad 'an endpoint of nothing' 3 '*has no node*'
echo "<key attr.name='k'/>" >"$work/body"
bad 'a key without an id' 3 'a <key> has no id*'
echo "$g<node id='$(perl -e 'print "k" x 481')'/></graph>" >"$work/body"
bad 'a key of 481 bytes' 3 '*480*'
echo "$g<node id=''/></graph>" >"$work/body"
bad 'an empty id' 3 '*'
echo "$g</graph></node>" >"$work/body"
bad 'tags that do not match' 3 'no valid XML at column *mismatched*'
echo "$g&lol;</graph>" >"$work/body"
bad 'an entity that nothing declares' 3 '*no valid XML*'
printf '%s\0</graph>\n' "$g" >"$work/body"
bad 'a NUL' 3 'no valid XML*'
printf '%s\377</graph>\n' "$g" >"$work/body"
bad 'bytes that are not UTF-8' 3 'no valid XML*'
perl -e 'print "<graph>", "<x>" x 100000' >"$work/body"
bad 'a hundred thousand elements' 3 'elements nest more than 256 deep*'
perl -e 'print map qq(<graph><node id="$_">), 1 .. 100' >"$work/body"
bad 'a hundred graphs in graphs' 3 'graphs nest more than 31 deep*'
perl -e 'print "<graph><node id=\"a\"><data key=\"x\">", "ten bytes " x 7000000' >"$work/body"
bad 'seventy megabytes of text' 3 '*longer than 64 MiB*'
perl -e 'print "<graph><node id=\"a\">", map { "<data key=\"x$_\">" . "ten bytes " x 1000000 . "</data>" } 1 .. 7' >"$work/body"
bad 'seventy megabytes in a record' 3 '*more than 64 MiB*'
perl -e 'print "<graph><node id=\"", "ten bytes " x 1000000' >"$work/body"
bad 'ten megabytes of a tag' '*' '*longer than 4 MiB*'
perl -e 'print map "<key id=\"$_\"/>", 1 .. 10001' >"$work/body"
bad 'ten thousand keys' 3 'more than 10000 keys*'
holds 0 0 'none of it left anything'
# odd FILE PATTERN NAME
odd()
{
	run import "$store" "$1" --format graphml
	is "$status" 7 "$3: refused"
	like "$err" "coppice: $1:$2" "$3: says why"
}
: >"$work/none"
odd "$work/none" '1: no valid XML*is the file complete*' 'an empty file'
echo '<svg/>' >"$work/svg"
odd "$work/svg" '1: the first element is <svg>*' 'another format'
head -c 900 "$work/values.graphml" >"$work/cut"
odd "$work/cut" '*no valid XML*' 'a file that breaks off'
printf '<?xml version="1.0"?>\n<!DOCTYPE graphml [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>\n<graphml>&c;</graphml>' >"$work/doctype"
odd "$work/doctype" '2: the file has a DOCTYPE*' 'entities that grow'
printf '<!DOCTYPE graphml SYSTEM "/etc/passwd"><graphml/>' >"$work/doctype"
odd "$work/doctype" '1: the file has a DOCTYPE*' 'a file that names another'
echo '<?xml version="1.0" encoding="EBCDIC"?><graphml/>' >"$work/odd"
odd "$work/odd" '1: *unknown encoding*' 'an encoding that is not known'
head -c 300 "$work/packed" >"$work/packed.cut"
exits 7 'a gzip that breaks off' import "$store" "$work/packed.cut" --format graphml
file skip.graphml <<'EOT'
<key id="k" attr.name="k" attr.type="int"/>
<graph edgedefault="directed"><node id="a"/><node/><node id="b"><data key="k">x</data><graph>
<node id="c"/></graph></node><edge source="a" target="c"/><edge source="a" target="b"/></graph>
EOT
exits 0 '--skip-bad' import "$store" "$work/skip.graphml" --skip-bad --json
is "$(field bad <"$work/out") $(field edges_skipped <"$work/out")" '2 1' \
	'leaves bad nodes out, and what ends at them'
holds 2 1 'and takes the rest'
n=0
for size in $(seq 1 97 1700); do
	head -c "$size" "$work/yed.graphml" >"$work/cut.graphml"
	run import "$store" "$work/cut.graphml" --format graphml --skip-bad
	[ "$status" = 7 ] || [ "$size" -ge "$(wc -c <"$work/yed.graphml")" ] || n=$((n + 1))
done
is "$n" 0 'a file cut off anywhere is refused'

# ---- real files

if [ "$has_data" = 1 ]; then
	for path in $(find "$data/graphml" "$data/airroutes" -name '*.graphml' | sort); do
		fresh
		name=${path##*/}
		# The ids that there are, as a set, and edges, one an element.
		want=$(perl -0777 -ne 's/<!--.*?-->//gs; my (%n, $h, $e);
			$n{$1} = 1 while /<node\s[^>]*?id=["\x27](.*?)["\x27]/g;
			$n{$1} = 1 while /<edge\s[^>]*?source=["\x27](.*?)["\x27]/g;
			$n{$1} = 1 while /<edge\s[^>]*?target=["\x27](.*?)["\x27]/g;
			$h = () = /<hyperedge/g; $e = () = /<(?:edge|endpoint)\s/g;
			print keys(%n) + $h, " ", $e' "$path")
		exits 0 "$name" import "$store" "$path" --dangling stub
		is "$(figure entities) $(figure edges)" "$want" "$name: all of it is in"
	done
	fresh
	run import "$store" "$data/airroutes/air-routes-small.graphml"
	is "$(entity 1 | field type) $(entity 1 | field properties)" \
		'airport {"city":"Atlanta","code":"ATL","country":"US","desc":"Hartsfield - Jackson Atlanta International Airport","elev":1026,"icao":"KATL","lat":33.6366996765137,"lon":-84.4281005859375,"longest":12390,"region":"US-GA","runways":5,"type":"airport"}' \
		'Atlanta'
	is "$(edges 1 | grep -c '"source":"1","relation":"route"')" \
		"$(grep -c "source='1' " "$data/airroutes/air-routes-small.graphml")" 'and its routes'
else
	skip 'no real data' 'real files'
fi

done_testing
