#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_round: real graphs are the same after a way through another format.
. "$(dirname "$0")/tap.sh"

# Members in order of their names: in columns each property has its place.
canonical()
{
	perl -MJSON::PP -ne 'BEGIN { $j = JSON::PP->new->canonical }
		print $j->encode($j->decode($_)), "\n"' "$1"
}

# made FILE...: a store of them
made()
{
	fresh
	run import "$store" "$@" --dangling skip --quiet
	[ "$status" = 0 ] || diag "$err"
}

# round NAME FILE...: by way of GraphML, and of CSV if it is not large
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
	made "$work/dump"
	"$COPPICE" export "$store" --quiet | cmp -s "$work/dump" -
	ok $? "$name: a dump of its dump is the same"
	made "$work/way.graphml"
	"$COPPICE" export "$store" --quiet | cmp -s "$work/dump" -
	ok $? "$name: as GraphML it is the same graph"
	[ "$(wc -l <"$work/dump")" -lt 5000 ] || return 0
	made "$work/way-nodes.csv" "$work/way-relationships.csv"
	"$COPPICE" export "$store" --quiet >"$work/back"
	is "$(canonical "$work/back")" "$(canonical "$work/dump")" \
		"$name: and as CSV, but for the order of properties"
}

air=$data/airroutes
[ -d "$air" ] || skip_all 'no real data here'
round 'air routes' "$air/air-routes-latest-nodes.csv" \
	"$air/air-routes-latest-edges.csv"
round 'some air routes' "$air/air-routes-small.graphml"
round 'a football season' "$air/epl-2013-2014.graphml"
round 'a tree' "$air/tree-with-500-nodes-nodes.csv" \
	"$air/tree-with-500-nodes-edges.csv"
made "$air/tree-with-500-nodes-nodes.csv"
is "$(figure entities)" 500 'it has 500 nodes'

# What the way has no place for is said.
fresh
echo '{"key":"a","content":"c","properties":{"content":"p"}}' >"$work/twice"
run import "$store" "$work/twice"
for format in graphml csv; do
	exits 0 "$format of a property that is called content" export \
		"$store" --format $format --output "$work/left" --force
	like "$err" '*1 values have no place*' 'tells that it is left out'
done
made "$work/left-nodes.csv"
run get "$store" a --json
like "$out" '*"properties":{},"content":"c"*' 'and what is there is the content'
done_testing
