#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_import_json: records within JSON documents, and points of databases of
# vectors.
. "$(dirname "$0")/tap.sh"

# all: every entity and edge, a line each, without what is empty
all()
{
	"$COPPICE" scan "$store" --json --vector --edges |
		perl -MJSON::PP -e 'my $j = JSON::PP->new->utf8->canonical;
			while (<STDIN>) {
				my $e = $j->decode($_);
				for (keys %$e) {
					my $v = $e->{$_};
					delete $e->{$_} if !defined $v or
						ref $v eq "HASH" && !%$v or
						ref $v eq "ARRAY" && !@$v or
						$v eq "";
				}
				push @all, $j->encode($e);
			}
			print join " ", sort @all'
}

# taken NAME TEXT WANTED [OPTION...]: the document is these records
taken()
{
	taken_name=$1
	taken_want=$3
	printf '%b' "$2" >"$work/doc.json"
	shift 3
	fresh
	exits 0 "$taken_name" import "$store" "$work/doc.json" "$@"
	is "$(all)" "$taken_want" "$taken_name: its records"
}

# refused NAME TEXT PATTERN [OPTION...]
refused()
{
	refused_name=$1
	refused_why=$3
	printf '%b' "$2" >"$work/doc.json"
	shift 3
	run import "$store" "$work/doc.json" "$@"
	is "$status" 7 "$refused_name: refused"
	like "$err" "coppice: $work/doc.json$refused_why*" \
		"$refused_name: says where and why"
}

two='{"key":"a","vector":[1,0]} {"key":"b"}'
edge='{"relation":"r","source":"a","target":"b"}'

# ---- documents

taken 'a list' '[{"key":"a","vector":[1,0]},{"key":"b"}]' "$two"
taken 'a list in many lines, with a mark' \
	'\0357\0273\0277\n[\r\n  {"key": "a",\n   "vector": [\n1,\n 0\n]}\n ,\n{"id":"b"}\n]\n' \
	"$two"
taken 'an empty list' '[ ]' ''
taken 'nodes and edges' \
	'{"nodes":[{"id":"a","vector":[1,0]},{"id":"b"}],"edges":[{"source":"a","relation":"r","target":"b"}]}' \
	"$two $edge"
taken 'nodes and links, and more' \
	'{"directed":true,"graph":{},"nodes":[{"id":"a","vector":[1,0]},{"id":"b"}],"links":[{"source":"a","relation":"r","target":"b"}],"n":1}' \
	"$two $edge"
taken 'empty lists' '{"nodes":[],"edges":[]}' ''
taken 'records in many lines' '{\n"key":"a",\n"vector":[1,0]}\n{\n"key":"b"\n}' \
	"$two"
taken 'a record with a list called nodes' '{"key":"a","nodes":[{"x":1}]}' \
	'{"key":"a","properties":{"nodes":[{"x":1}]}}'
taken 'brackets and quotes in strings' \
	'[{"key":"a","p":"]}\\\\\\"[{","vector":[1,0]},{"key":"b"}]' \
	'{"key":"a","properties":{"p":"]}\\\"[{"},"vector":[1,0]} {"key":"b"}'
printf '{"a":1}\n' >"$work/doc.json"
exits 0 'what holds no records is told' import "$store" "$work/doc.json" \
	--format json --skip-bad
printf '{"nodes":[{"key":"x"}],"other":{"a":1}}' >"$work/doc.json"
exits 0 'a member without records' import "$store" "$work/doc.json"
like "$err" '*warning: *doc.json:1: "other" holds no records*' 'is told'

# ---- faults

refused 'a list without an end' '[{"key":"a"}' ':1: the JSON breaks off at byte 13, a comma or ]*'
refused 'an element without an end' '\n[{"key":"a"' ':2: ?0?: no valid JSON at column*'
refused 'a comma too many' '[{"key":"a"},]' ':1: no valid JSON at byte 14: a value*]'
refused 'a comma too few' '[{"key":"a"}\n{"key":"b"}]' ':2: no valid JSON at byte 14: a comma or ]*{'
refused 'the wrong bracket' '[{"key":"a"}}' ':1: no valid JSON at byte 13: a comma*}'
refused 'more behind the end' '[{"key":"a"}]]' ':1: no valid JSON at byte 14: the end*]'
refused 'a number behind the end' '[{"key":"a"}] 1' ':1: no valid JSON at byte 15: the end*1'
refused 'NUL behind the end' '[{"key":"a"}]\0000' ':1: no valid JSON at byte 14*'
refused 'no colon' '{"nodes":[],"edges" []}' ':1: no valid JSON at byte 21: a colon*'
refused 'no name' '{"nodes":[],}' ':1: no valid JSON at byte 13: a name*'
refused 'no brace at the end' '{"nodes":[]' ':1: the JSON breaks off at byte 12, a comma or }*'
refused 'junk that is not taken' '{"nodes":[],"x":[1,}]}' ':1: "x": no valid JSON*'
refused 'an element that is no record' '{"nodes":[{"key":"a"},\n{"x":1}]}' \
	':2: nodes?1?: neither an entity*'
refused 'an element that is a number' '[{"key":"a"},7]' ':1:*'
refused 'a bad vector' '[\n{"key":"a","vector":[1,\n"x"]}]' \
	':2: ?0?: "vector": member 1 is no number*'
refused 'a bad line after a vector' '[{"key":"a","vector":[1.25,0.5],}]' \
	':1: ?0?: no valid JSON at column 32*'
refused 'a bad line in a record of many' '[{"key":"a","vector":[1.25,\n0.5],\n"x":}]' \
	':1: ?0?: no valid JSON in its line 3 at column 5*'
refused 'a hundred thousand brackets' "$(perl -e 'print "[" x 100000')" \
	':1: *nest*'
refused 'an element as deep' "[{\"key\":\"a\",\"x\":$(perl -e 'print "[" x 100000')" \
	':1: byte *nest*'
printf '[{"key":"a"},{"x":1},{"key":"b"}\n,{"key":"c","vector":[1]}]' >"$work/doc.json"
fresh
exits 0 '--skip-bad' import "$store" "$work/doc.json" --skip-bad --json
is "$(field bad <"$work/out") $(all)" '2 {"key":"a"} {"key":"b"}' \
	'leaves out elements that are bad'
perl -e 'print "[", join(",", map qq({"key":"k$_","p":") . "x" x 99 . qq("}), 1 .. 50000), "]"' \
	>"$work/long.json"
fresh
exits 0 'a list longer than any buffer' import "$store" "$work/long.json" --json
is "$(field entities_put <"$work/out")" 50000 'is all in'
perl -e 'print qq([{"key":"a","x":"), "x" x 136000000, qq("}])' >"$work/long.json"
refused_file=$work/long.json
run import "$store" "$refused_file"
is "$status" 7 'an element of more than 128 MiB is refused'
like "$err" '*longer than 128 MiB*' 'and says so'

# ---- vectors in lines

# A vector is read past jansson where it can; the same must come of it.
for form in '[1,0]' '[ 1 , 0 ]' '[1.0e0,-0.0]' '[10e-1,0]'; do
	taken "the vector $form" "{\"key\":\"a\",\"vector\":$form}" \
		'{"key":"a","vector":[1,0]}' --format ndjson
done
taken 'a vector in an edge is a property' \
	'{"key":"a"}\n{"source":"a","relation":"r","target":"a","vector":[1,2.5]}' \
	'{"key":"a"} {"properties":{"vector":[1,2.5]},"relation":"r","source":"a","target":"a"}'
taken 'a vector within properties, too' \
	'{"key":"a","properties":{"vector":[1,2]},"vector":[1,0]}' \
	'{"key":"a","properties":{"vector":[1,2]},"vector":[1,0]}'
taken 'a list called values is a property' '{"id":"a","values":[1,2],"p":1}' \
	'{"key":"a","properties":{"p":1,"values":[1,2]}}'
for vector in '[01,2]' '[1,2' '[1,,2]' '[1,2,]' '[.5,1]' '[1.,2]' '[+1,2]' '[1 2]' \
	'[NaN,1]' '[1e,2]' '[1.e5,2]'; do
	refused "the vector $vector" "{\"key\":\"a\",\"vector\":$vector}" \
		':1: no valid JSON*' --format ndjson
done
refused 'a vector twice' '{"key":"a","vector":[1,0],"vector":[1,0]}' \
	':1: no valid JSON*duplicate*' --format ndjson
refused 'a number beyond float32' '{"key":"a","vector":[1,1e39]}' \
	':1: "vector": member 1 *' --format ndjson
refused 'a list in a vector' '{"key":"a","vector":[1,[2]]}' \
	':1: "vector": member 1 *' --format ndjson
refused 'no number in a vector' '{"key":"a","vector":[]}' ':1:*' --format ndjson

# ---- points

point='{"key":"7","properties":{"city":"Bern","type":"t"},"vector":[1,0]}'
taken "Qdrant's points" \
	'{"points":[{"id":7,"vector":[1,0],"payload":{"city":"Bern","type":"t"}}]}' \
	"$point"
taken 'as its scroll answers' \
	'{"result":{"points":[{"id":7,"payload":{"city":"Bern","type":"t"},"vector":[1,0],"order_value":1}],"next_page_offset":null},"status":"ok","time":0.1}' \
	"$point"
taken 'a line each' \
	'{"id":7,"vector":[1,0],"payload":{"city":"Bern","type":"t"}}\n{"id":"u","vector":{"text":[0,1]},"payload":null}' \
	"$point {\"key\":\"u\",\"vector\":[0,1]}"
taken 'with a type' '{"id":7,"vector":[1,0],"payload":{}}' \
	'{"key":"7","type":"P","vector":[1,0]}' --type P
refused 'points of two vectors' '{"id":7,"vector":{"a":[1,0],"b":[1,0]},"payload":{}}' \
	':1: "vector" *'
taken "Pinecone's vectors" \
	'{"vectors":[{"id":"7","values":[1,0],"metadata":{"city":"Bern","type":"t"}},{"id":"u","values":[0,1]}],"namespace":"n"}' \
	"$point {\"key\":\"u\",\"vector\":[0,1]}"
taken 'as it answers' \
	'{"vectors":{"7":{"id":"7","values":[1,0],"metadata":{"city":"Bern","type":"t"}}},"namespace":"n"}' \
	"$point"
taken 'a line each, with metadata' '{"id":"7","values":[1,0],"metadata":{"city":"Bern","type":"t"}}' \
	"$point"

# ---- JSONTestSuite

suite=$data/json/JSONTestSuite/test_parsing
if [ ! -d "$suite" ]; then
	skip 'no JSONTestSuite here' 'JSONTestSuite'
	done_testing
fi
# A name twice would lose a value, and names with NUL jansson does not take.
# wrapped FILE: as the value of a property
wrapped()
{
	(printf '[{"key":"k","v":' && cat "$1" && printf '}]') >"$work/doc.json"
}
fresh
wrong=
for file in "$suite"/y_*.json; do
	wrapped "$file"
	run import "$store" "$work/doc.json"
	case ${file##*/} in
	y_object_duplicated_key*.json | y_object_escaped_null_in_key.json)
		want=7 ;;
	*) want=0 ;;
	esac
	[ "$status" = "$want" ] || wrong="$wrong ${file##*/}:$status"
done
is "$wrong" '' 'what is JSON is taken as a property'
wrong=
vague=
for file in "$suite"/n_*.json; do
	wrapped "$file"
	for doc in "$work/doc.json" "$file"; do
		case $doc in
		*/n_structure_no_data.json | */n_single_space.json | */n_structure_UTF8_BOM_no_data.json) continue ;;
		esac
		run import "$store" "$doc" --format json
		[ "$status" = 7 ] || wrong="$wrong ${file##*/}:$status"
		case $err in
		*"$doc":[0-9]*) ;;
		*) vague="$vague ${file##*/}" ;;
		esac
	done
done
is "$wrong" '' 'what is no JSON is refused, alone and as a property'
is "$vague" '' 'each with its position'
wrong=
for file in "$suite"/i_*.json; do
	wrapped "$file"
	run import "$store" "$work/doc.json"
	[ "$status" = 7 ] || [ "$status" = 0 ] || wrong="$wrong ${file##*/}:$status"
done
is "$wrong" '' 'what may be JSON is taken or refused'
done_testing
