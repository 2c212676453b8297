#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_import_full: an import of edges that wait in a file, on a disk that has no
# room for what they are put into.
disk_size=12m
. "$(dirname "$0")/tmpfs.sh"

store=$disk/store
perl -e 'print ":ID\n"; print "t$_\n" for 0 .. 999' >"$work/nodes.csv"
perl -e 'print "source,relation,target,name\n";
	printf "t%d,R,t%d,%s\n", $_ * 31 % 1000, $_ * 7919 % 997, "x" x 60
		for 1 .. 100000' >"$work/edges.csv"
exits 0 'init' init "$store"
exits 0 'entities' import "$store" "$work/nodes.csv"

# full SIZE: the import, with so much room
full()
{
	mount -o "remount,size=$1" "$disk"
	exits 6 "no room in $1: refused" import "$store" "$work/edges.csv" \
		--batch 1000 --resume
	like "$err" '*No space left*' 'and it says why'
	is "$(ls -A "$disk/store" | grep -c edges)" 0 'no file stays'
	exits 0 'and the store is whole' check "$store"
}
full 10m
full 20m
mount -o remount,size=200m "$disk"
exits 0 'with room it goes on' import "$store" "$work/edges.csv" --batch 1000 \
	--resume --json
like "$out" '*"records":100000,*"edges_put":100000,*' 'to the last one'
exits 0 'the store is whole' check "$store"
exits 0 'init' init "$work/other"
exits 0 'the same at once' import "$work/other" "$work/nodes.csv" \
	"$work/edges.csv"
"$COPPICE" export "$work/other" --quiet >"$work/whole"
"$COPPICE" export "$store" --quiet | cmp -s - "$work/whole"
ok $? 'is the same'
done_testing
