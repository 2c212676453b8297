#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_import_rdf: N-Triples, N-Quads, Turtle and TriG into the store.
. "$(dirname "$0")/tap.sh"

# holds ENTITIES EDGES NAME
holds()
{
	is "$(figure entities) $(figure edges)" "$1 $2" "$3"
}

entity()
{
	"$COPPICE" get "$store" "$1" --json
}

# all: everything in the store, in one order
all()
{
	"$COPPICE" scan "$store" --json --edges | sort
}

# ---- N-Triples

fresh
cat >"$work/a.nt" <<'EOT'
# what is said of ada comes apart
<http://e/ada> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://e/Person> .
<http://e/ada> <http://e/knows> <http://e/bob> .
<http://e/ada> <http://e/born> "1815"^^<http://www.w3.org/2001/XMLSchema#integer> .
<http://e/ada> <http://e/name> "Ada" .

<http://e/ada> <http://e/name> "Ad\u00e4\n\"x\""@de-AT .
	<http://e/bob> <http://e/name> "Bob" .
<http://e/ada> <http://e/name> "Countess" .
<http://e/ada> <http://e/name> "Ada" . # once more
<http://e/ada> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://e/Writer> .
<http://e/ada> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://e/Person> .
_:b1 <http://e/in> _:b2 .
EOT
exits 0 'N-Triples' import "$store" "$work/a.nt" --json
is "$(field records <"$work/out")" 11 'are counted'
holds 4 2 'subjects and objects are entities'
is "$(entity http://e/ada)" '{"key":"http://e/ada","type":"http://e/Person","tags":["http://e/Writer"],"properties":{"http://e/born":1815,"http://e/name":["Ada","Countess"],"http://e/name@de-AT":"Adä\n\"x\""},"content":null}' \
	'types are type and tags, values a list, languages apart'
is "$("$COPPICE" get "$store" http://e/ada --edges --json | tail -1)" \
	'{"source":"http://e/ada","relation":"http://e/knows","target":"http://e/bob","properties":{}}' \
	'a predicate is a relation'
is "$(entity '_:a.nt#b1' | field key)" '_:a.nt#b1' 'blank nodes are those of their file'
all >"$work/once"
exits 0 'again' import "$store" "$work/a.nt" --json
is "$(field entities_put <"$work/out")" 0 'puts no entity'
all | cmp -s - "$work/once"
ok $? 'nothing is there twice'
for size in 1 2 3 7; do
	fresh
	run import "$store" "$work/a.nt" --batch "$size"
	all | cmp -s - "$work/once"
	ok $? "a commit after $size gives the same"
done
fresh
exits 0 '--atomic' import "$store" "$work/a.nt" --atomic --json
is "$(field commits <"$work/out")" 1 'is one commit'
all | cmp -s - "$work/once"
ok $? 'of the same'
fresh
gzip -c "$work/a.nt" >"$work/a.nt.gz"
exits 0 '.nt.gz' import "$store" "$work/a.nt.gz"
holds 4 2 'is read'
fresh
sed 1d "$work/a.nt" >"$work/plain"
run import "$store" - --local-names <"$work/plain"
is "$status" 0 'standard input, told by content'
is "$(entity http://e/ada | field properties)" '{"born":1815,"name":["Ada","Countess"],"name@de-AT":"Adä\n\"x\""}' \
	'--local-names'
is "$(entity http://e/ada | field type)" Person 'for types, too'
is "$(entity _:b1 | field key)" _:b1 'blank nodes of no file'

# ---- what is there is kept

fresh
cat >"$work/there.ndjson" <<'EOT'
{"key":"http://e/ada","type":"Old","tags":["old"],"content":"text","vector":[1,0],"properties":{"http://e/name":[{"x":[1,null]},"Ada"],"deep":{"a":[1,{"b":"c"}]}},"timed":[{"tag":"t","valid_from":"1840"},{"property":"was","value":1,"valid_to":"1"}]}
EOT
exits 0 'an entity' import "$store" "$work/there.ndjson"
exits 0 'and triples of it' import "$store" "$work/a.nt"
is "$("$COPPICE" get "$store" http://e/ada --json --vector | field properties)" \
	'{"deep":{"a":[1,{"b":"c"}]},"http://e/born":1815,"http://e/name":[{"x":[1,null]},"Ada","Countess"],"http://e/name@de-AT":"Adä\n\"x\""}' \
	'it keeps its properties'
is "$(entity http://e/ada | field type) $(entity http://e/ada | field content) $(figure vectors)" \
	'Old text 1' 'its type, content and vector'
is "$(entity http://e/ada | field tags) $(entity http://e/ada | grep -c '"timed".*1840.*"was"')" \
	'["http://e/Person","http://e/Writer","old"] 1' 'its tags, and what has times'

fresh
echo '{"key":"http://e/ada","properties":{"http://e/name":["Ada"],"none":[],"one":[1]}}' >"$work/one.ndjson"
exits 0 'lists of one and of nothing, and triples' import "$store" "$work/one.ndjson" "$work/a.nt"
is "$(entity http://e/ada | field properties)" \
	'{"http://e/born":1815,"http://e/name":["Ada","Countess"],"http://e/name@de-AT":"Adä\n\"x\"","none":[],"one":[1]}' \
	'one is added to, the others stay lists'

# A subject of many values: a set, in the order in which they came, however
# many commits they are spread over: one ends after 8 MiB.
# many COUNT SIZE
many()
{
	perl -e 'my ($n, $size) = @ARGV;
		for my $i (0 .. $n - 1, reverse(0 .. $n - 1), $n) {
			my $text = sprintf("%0*d", $size, $i);
			print "<http://e/m> <http://e/p> \"$text\" .\n";
			print "<http://e/m> <http://e/q> \"$i\"^^<http://www.w3.org/2001/XMLSchema#integer> .\n";
			print "<http://e/m> <http://e/q> \"$i\" .\n";
			print "<http://e/m> <http://e/p", $i % 3000, "> \"", $i % 3, "\" .\n";
			print "<http://e/m> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://e/t", $i % 7000, "> .\n"
		}' "$1" "$2"
}
fresh
many 9000 500 >"$work/many.nt"
exits 0 'a subject of nine thousand values, each twice, and one more' import "$store" "$work/many.nt" --json
is "$(($(field commits <"$work/out") > 1))" 1 'in several commits'
entity http://e/m >"$work/many"
is "$(perl -MJSON::PP -ne 'my $e = decode_json($_); my $p = $e->{properties};
	my @q = @{$p->{"http://e/q"}}; my %q = map { encode_json([$_]) => 1 } @q;
	print join " ", scalar keys %$p, scalar @{$p->{"http://e/p"}}, $p->{"http://e/p"}[9000] + 0,
		scalar @q, scalar keys %q, "@q[0 .. 3] @q[-2, -1]",
		scalar @{$e->{tags}}, ref $p->{"http://e/p7"} || $p->{"http://e/p7"}' "$work/many")" \
	'3002 9001 9000 18002 18002 0 0 1 1 9000 9000 6999 1' 'has each once, numbers and texts apart'

# ---- literals

fresh
cat >"$work/l.ttl" <<'EOT'
@prefix e: <http://e/> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@base <http://base/x> .
e:a a e:T ; e:b true, "0"^^xsd:boolean ; e:i 4, "-7"^^xsd:long ; e:d 4.5, 1e3 ;
	e:big "18446744073709551616"^^xsd:integer ; e:comma "1,5"^^xsd:double ;
	e:inf "INF"^^xsd:double ; e:date "1815-12-10"^^xsd:date ;
	e:knows [ e:name "anon" ; e:list ( 1 e:x ) ] .
<#me> e:p """long "quoted" text
(((""" ; e:q 'single [' , '' , "\u00e4" .
EOT
exits 0 'Turtle' import "$store" "$work/l.ttl" --local-names
is "$(entity http://e/a | field properties)" \
	'{"b":[true,false],"big":"18446744073709551616","comma":"1,5","d":[4.5,1000],"date":"1815-12-10","i":[4,-7],"inf":"INF"}' \
	'literals have their types, those that do not fit are texts'
is "$(entity 'http://base/x#me' | field properties)" \
	'{"p":"long \"quoted\" text\n(((","q":["single [","","ä"]}' 'strings, and a base'
holds 7 5 'lists and nameless nodes are entities'
fresh
printf '\357\273\277<http://a> <http://p> <http://b> <http://g> .\r\n<http://b> <http://p> "x" _:g .\r\n' >"$work/q.nq"
exits 0 'N-Quads, with a mark and CRLF' import "$store" "$work/q.nq"
holds 2 1 'are read'
echo '<http://g> { <http://a> <http://q> <http://c> . } <http://a> <http://p> "v" .' >"$work/t.trig"
exits 0 'TriG' import "$store" "$work/t.trig"
holds 3 2 'is read'

# ---- damaged

fresh
# bad LINE PATTERN NAME: a line, after a good one, is refused
bad()
{
	printf '<http://a> <http://p> <http://b> .\n%b\n' "$1" >"$work/bad.nt"
	run import "$store" "$work/bad.nt"
	is "$status" 7 "$3: refused"
	like "$err" "coppice: $work/bad.nt:2: $2; nothing was imported" \
		"$3: says where and why"
}
bad 'hello' 'no valid triple: it begins*' 'no triple'
bad '<http://a> <http://p> <http://b>' 'no valid triple: column *' 'no full stop'
bad '<http://a> <http://p> .' 'no valid triple: column *' 'no object'
bad '<http://a> "p" <http://b> .' 'no valid triple: column *' 'a predicate, a literal'
bad '"a" <http://p> <http://b> .' 'no valid triple*' 'a subject, a literal'
bad '<http://a> <http://p> "b .' 'no valid triple: column *' 'an open string'
bad '<http://a> <http://p q> "b" .' 'no valid triple: column *' 'a space in an IRI'
bad '<a> <http://p> "b" .' 'no valid triple: column *' 'a relative IRI'
bad '<http://a> <http://p> "b" . hello' 'no valid triple*' 'more in the line'
bad '<http://a> <http://p> "\0377" .' 'byte 24 (0xff) is not UTF-8' 'not UTF-8'
bad '<http://a> <http://p> "\0000" .' 'byte 24 is NUL' 'a NUL'
bad "<http://$(perl -e 'print "k" x 481')> <http://p> <http://b> ." '*488 bytes, a key has 1 to 480' 'a long subject'
bad "<http://a> <http://p> <http://$(perl -e 'print "k" x 481')> ." '*488 bytes, a key has 1 to 480' 'a long object'
bad "<http://a> <http://$(perl -e 'print "k" x 300')> \"x\" ." '*' 'a long predicate'
holds 0 0 'none of it left anything'
echo '{"key":"http://a","timed":[{"property":"p","value":1,"valid_to":"1"}]}' >"$work/timed.ndjson"
echo '<http://a> <p:#p> "x" .' >"$work/timed.nt"
exits 7 'a value at all times beside one at some' import "$store" "$work/timed.ndjson" "$work/timed.nt" --local-names
like "$err" '*timed.nt:1: *twice, at times that meet*' 'is refused'
fresh
printf '%s\n' '<http://a> <http://p> <http://b> .' hello '<http://a> <http://p> "x"' \
	'<http://c> <http://p> "y" .' >"$work/skip.nt"
exits 0 '--skip-bad' import "$store" "$work/skip.nt" --skip-bad --json
is "$(field bad <"$work/out")" 2 'counts bad lines'
holds 3 1 'and takes the rest, objects too'
# badttl TEXT LINE PATTERN NAME
badttl()
{
	printf '%b' "$1" >"$work/bad.ttl"
	run import "$store" "$work/bad.ttl"
	is "$status" 7 "$4: refused"
	like "$err" "coppice: $work/bad.ttl:$2: $3" "$4: says where and why"
}
badttl '<http://a> <http://p>\n <http://b>' 2 'no valid RDF*' 'no full stop'
badttl '\n\n<http://a> <http://p> e:b .' 3 'nothing declares the prefix*' 'a prefix'
badttl '<http://a> <http://p> "\0377" .' 1 'no valid RDF: column *UTF-8*' 'not UTF-8'
badttl '<http://a> <http://p> "a\0000b" .' 1 'there is a NUL*' 'a NUL'
badttl '<http://a> <http://p> """a\nb' 2 'no valid RDF*' 'an open string'
badttl "<http://a> <http://p> $(perl -e 'print "[ <http://p> " x 100000')" 1 \
	'brackets nest more than 256 deep*' 'a hundred thousand brackets'
badttl "<http://a> <http://p> $(perl -e 'print "( " x 100000')" 1 \
	'brackets nest more than 256 deep*' 'as many lists'
badttl "$(perl -e 'printf "\@prefix p%d: <http://a/%d/> .\\n", $_ % 4096, $_
	for 0 .. 8999; print "\@prefix q: <http://b/> .\\n"')" 9001 \
	'more than 4096 prefixes*' 'one prefix too many, after some twice'
perl -e 'print "<http://a> <http://p> \"", "ten bytes " x 7000000' >"$work/long.ttl"
exits 7 'seventy megabytes of a string' import "$store" "$work/long.ttl"
like "$err" '*a statement is longer than 64 MiB*' 'are refused'
n=0
for size in $(seq 1 13 700); do
	head -c "$size" "$work/l.ttl" >"$work/cut.ttl"
	run import "$store" "$work/cut.ttl"
	[ "$status" = 7 ] || [ "$status" = 0 ] || n=$((n + 1))
done
is "$n" 0 'a file cut off anywhere is taken up to a statement or refused'

done_testing
