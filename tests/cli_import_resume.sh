#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_import_resume: an import that was killed goes on, and what is in the store
# in the end is what one puts that was not, each record once.
. "$(dirname "$0")/tap.sh"

RECORDS=10000
BATCH=100

# ---- files

ndjson()
{
	perl -e '
	for my $i (1 .. $ARGV[0]) {
		my $to = $i > 1 ? 1 + int(($i * 7919) % ($i - 1)) : 1;
		if ($i % 97 == 0) { print qq({"key":\n) }
		elsif ($i % 89 == 0) {
			print qq({"source":"k1","relation":"r","target":"no$i"}\n)
		} elsif ($i % 83 == 0) {
			print qq({"source":"k1","relation":"r","target":""}\n)
		} elsif ($i % 5 == 0) {
			print qq({"source":"k1","relation":"r$i","target":"k1","w":$i}\n)
		} else {
			print qq({"key":"k$i","type":"T","a":1,) .
			      qq("properties":{"a":$i,"b":"x"},) .
			      qq("vector":[$i,1,2,3]}\n)
		}
	}' "$1"
}

floats()
{
	perl -e 'print pack("f<4", $_, 1, 2, 3) for 1 .. $ARGV[0]' "$1"
}

ndjson $RECORDS >"$work/k.ndjson"
gzip -c "$work/k.ndjson" >"$work/k.ndjson.gz"
perl -e 'print "{\"nodes\":[";
	print $_ > 1 ? "," : "", qq({"id":"n$_","size":$_}\n) for 1 .. 5000;
	print "],\"edges\":[";
	print $_ > 1 ? "," : "", qq({"source":"n$_","type":"e","target":"n1"}\n)
		for 1 .. 5000;
	print "]}"' >"$work/k.json"
perl -e 'print "key,type,tags,n:int\n";
	print $_ % 101 ? "c$_,T,a;b,$_\n" : "c$_,T,a\n" for 1 .. 10000' \
	>"$work/k.csv"
echo key,n:int >"$work/head.csv"
perl -e 'print "c$_,$_\n" for 1 .. 3000' >"$work/part1.csv"
perl -e 'print "c$_,$_\n" for 3001 .. 9000' >"$work/part2.csv"
perl -e 'print ":ID\n"; print "$_\n" for 0 .. 99' >"$work/nodes.csv"
perl -e 'print ":START_ID,:END_ID,:TYPE,n:int\n";
	print $_ % 100, ",", ($_ * 7) % 100, ",KNOWS,$_\n" for 1 .. 10000' \
	>"$work/links.csv"
perl -e 'print "a$_ b", $_ % 77, "\n" for 1 .. 10000' >"$work/k.edges"
perl -e 'print "a$_\tr", $_ % 9, "\tb", $_ % 77, "\n" for 1 .. 10000' \
	>"$work/k.tsv"
perl -e 'print qq(<graphml><key id="d" for="all" attr.name="n" attr.type="int"/><graph edgedefault="directed">\n);
	for (1 .. 4000) {
		my $key = $_ % 50 ? "g$_" : "g" x 500;
		print qq(<node id="$key"><data key="d">$_</data><graph edgedefault="directed"><node id="in$_"/></graph></node>\n);
		print qq(<edge source="g1" target="g1"><data key="d">$_</data></edge>\n)
	}
	print qq(</graph></graphml>\n)' >"$work/k.graphml"
perl -e 'for (1 .. 4000) {
		my $s = "<http://x/s" . $_ % 1500 . ">";
		print "$s <http://x/p> \"v$_\" .\n";
		print "$s <http://x/to> <http://x/s", ($_ * 7) % 1500, "> .\n";
		print "$s <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://x/T", $_ % 3, "> .\n";
		print "$s oops\n" if $_ % 70 == 0
	}' >"$work/k.nt"
perl -e 'print "\@prefix x: <http://x/> .\n";
	print "x:s$_ a x:T ; x:p $_ ; x:to x:s", ($_ * 7) % 3000, ", [ x:q $_ ] .\n"
		for 1 .. 3000' >"$work/k.ttl"
{
	perl -e 'my $h = "{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": ($ARGV[0], 4), }";
		$h .= " " x (63 - (10 + length $h) % 64) . "\n";
		print "\x93NUMPY\1\0", pack("v", length $h), $h' $RECORDS
	floats $RECORDS
} >"$work/k.npy"
perl -e 'print pack("l<f<4", 4, $_, 1, 2, 3) for 1 .. $ARGV[0]' $RECORDS \
	>"$work/k.fvecs"
perl -e 'print "$ARGV[0] 4\n"; print "w$_ $_ 1 2 ", $_ % 91 ? 3 : "x", "\n"
	for 1 .. $ARGV[0]' $RECORDS >"$work/k.vec"
perl -e 'print "id$_\n" for 1 .. $ARGV[0]' $RECORDS >"$work/ids"
perl -e 'print qq({"key":"id$_"}\n) for 1 .. $ARGV[0]' $RECORDS >"$work/ids.ndjson"

# Keys and edges come several times, some edges lead nowhere.
perl -e 'for my $i (1 .. $ARGV[0]) {
		my $to = ($i * 7919) % 4000;
		if ($i % 97 == 0) { print qq({"bad":1}\n) }
		elsif ($i % 3 == 0) {
			print qq({"source":"k1","relation":"r","target":"k$to","w":$i}\n)
		} else { print qq({"key":"k$to","p), $i % 7, qq(":$i}\n) }
	}' $RECORDS >"$work/again.ndjson"

# ---- imports that are killed, and go on

# Ended versions: none comes of a record that is put once.
versions()
{
	"$COPPICE" compact "$1" --dry-run --keep-history none --json |
		field versions
}

# What an import that is through says, but for edges that were left out: those
# of the commit before the kill count as put.
totals()
{
	perl -MJSON::PP -e 'my $s = decode_json(join "", <>);
		print join " ", $s->{edges_put} + $s->{edges_skipped},
			map { "$_ $s->{$_}" }
			qw(records entities_put vectors_put doubled bad)'
}

# dump STORE FILE
dump()
{
	"$COPPICE" export "$1" --quiet >"$2"
	versions "$1" >>"$2"
	"$COPPICE" check "$1" --quiet >>"$2"
}

# A store for what an import needs to be there.
begin()
{
	fresh 4
	[ -z "$before" ] ||
		"$COPPICE" import "$store" "$before" --quiet
}

# killed SIGNAL SECONDS ARG...: the status of an import that gets it then
killed()
{
	signal=$1
	after=$2
	shift 2
	"$COPPICE" import "$store" --batch $BATCH --quiet "$@" 2>"$work/err" &
	pid=$!
	sleep "$after"
	kill -"$signal" $pid 2>/dev/null
	wait $pid 2>/dev/null
	killed=$?
}

# Whether an import has begun to commit and is not through.
is_marked()
{
	"$COPPICE" stat "$store" | grep -q '^mark .*import:'
}

# later_or_sooner: the next moment to try, after $killed
later_or_sooner()
{
	[ "$killed" = 0 ] && longer=0.6 || longer=1.5
	at=$(echo "$at $longer" | awk '{print $1 * $2}')
}

# broken SIGNAL ARG...: an import into a new store, which gets the signal when
# it has begun to commit, and is not through
broken()
{
	at=0.2
	for try in 1 2 3 4 5 6 7 8 9 10 11 12; do
		begin
		killed "$1" $at "$work/k.ndjson" --skip-bad
		is_marked && break
		later_or_sooner
	done
}

# Whether some of what comes after the mark is in the store, too.
is_cut()
{
	"$COPPICE" stat "$store" | grep -q '^mark .*import:.* until=[1-9]'
}

# kind NAME ARG...: an import killed at some moments; $before is there before
moments='0.2 0.5 0.85'
kind()
{
	name=$1
	shift
	begin
	start=$(date +%s.%N)
	exits 0 "$name: an import that nobody stops" \
		import "$store" "$@" --batch $BATCH --json
	seconds=$(echo "$start $(date +%s.%N)" | awk '{print $2 - $1}')
	whole=$(totals <"$work/out")
	dump "$store" "$work/whole"
	cut=0
	for part in $moments; do
		at=$(echo "$seconds $part" | awk '{print $1 * $2}')
		tries=12
		while [ $tries -gt 0 ]; do
			tries=$((tries - 1))
			begin
			killed KILL "$at" "$@"
			is_marked && break
			later_or_sooner
		done
		is "$killed" 137 "$name: killed after $at s"
		is_cut && cut=$((cut + 1))
		exits 0 'it goes on' import "$store" "$@" --batch $BATCH \
			--resume --json
		like "$err" '*: goes on after *' 'and says so'
		is "$(totals <"$work/out")" "$whole" 'with the totals of one'
		dump "$store" "$work/resumed"
		cmp -s "$work/whole" "$work/resumed"
		ok $? 'what is there is what one puts, each record once'
	done
}

before=
kind ndjson "$work/k.ndjson" --skip-bad
kind 'ndjson in gzip' "$work/k.ndjson.gz" --skip-bad
kind json "$work/k.json"
kind csv "$work/k.csv" --skip-bad
kind 'csv in parts' "$work/head.csv,$work/part1.csv,$work/part2.csv"
kind 'tables with parallel edges' "$work/nodes.csv" "$work/links.csv"
kind edges "$work/k.edges" --format edges --dangling stub
kind triples "$work/k.tsv" --format triples --dangling stub
kind graphml "$work/k.graphml" --skip-bad
kind nt "$work/k.nt" --skip-bad
kind ttl "$work/k.ttl"
kind npy "$work/k.npy"
kind fvecs "$work/k.fvecs"
kind word2vec "$work/k.vec" --skip-bad
for mode in 'on-conflict skip' 'on-conflict merge' 'on-conflict error' \
	"reject $work/refused"; do
	kind "${mode%% /*}" "$work/again.ndjson" --skip-bad \
		"--${mode% *}=${mode##* }"
done
kind 'several files' "$work/k.csv" "$work/k.json" "$work/k.npy" --skip-bad

# Edges in any order, of which many are committed in the order of tiles: some
# come again, with another value, some lead nowhere, some are bad.
perl -e 'print ":ID\n"; print "t$_\n" for 0 .. 999' >"$work/towns.csv"
perl -e 'print "source,relation,target,w:int\n";
	for (1 .. 20000) {
		my $to = $_ % 61 ? ($_ * 7919) % 1000 : "none";
		print "t", ($_ * 31) % 1000, ",R", $_ % 3, ",t$to,",
			$_ % 71 ? $_ : "x", "\n"
	}' >"$work/roads.csv"
moments='0.2 0.35 0.5 0.65 0.8 0.9'
kind 'edges in tiles' "$work/towns.csv" "$work/roads.csv" --skip-bad \
	--dangling skip
ok $((cut == 0)) "killed between tiles $cut times of 6"
begin
exits 0 'all of it in one commit' import "$store" "$work/towns.csv" \
	"$work/roads.csv" --skip-bad --dangling skip --atomic
"$COPPICE" export "$store" --quiet >"$work/at.once"
head -n "$(grep -c . "$work/at.once")" "$work/whole" |
	cmp -s - "$work/at.once"
ok $? 'puts the same'

# The same among lines: what stands behind edges that wait comes after them.
perl -e 'sub town { print "{\"key\":\"t$_[0]\",\"n\":$_[1]}\n" }
	sub roads { print "{\"source\":\"t", ($_ * 31) % 500, "\",",
		"\"relation\":\"R\",\"target\":\"t", ($_ * 7919) % 997,
		"\",\"discriminator\":", $_ % 7,
		",\"w\":", $_ % 71 ? $_ : "x", "}\n" for $_[0] .. $_[1] }
	town $_, 0 for 0 .. 499;
	roads 1, 8000;
	town $_, 1 for 0, 700 .. 720;
	roads 8001, 12000;
	print "{\"key\":7}\n";
	town 499, 2;
	roads 12001, 20000' >"$work/roads.ndjson"
cut=0
kind 'lines of edges in tiles' "$work/roads.ndjson" --skip-bad --dangling skip
ok $((cut == 0)) "killed between tiles $cut times of 6"
begin
exits 0 'all of it in one commit' import "$store" "$work/roads.ndjson" \
	--skip-bad --dangling skip --atomic
"$COPPICE" export "$store" --quiet >"$work/at.once"
head -n "$(grep -c . "$work/at.once")" "$work/whole" |
	cmp -s - "$work/at.once"
ok $? 'puts the same'

# Edges that all have the same ends are at one place of the order.
perl -e 'print "source,relation,target,w:int\n";
	print "t1,R,t2,$_\n" for 1 .. 12000' >"$work/same.csv"
cut=0
kind 'edges with the same ends' "$work/towns.csv" "$work/same.csv"
ok $((cut == 0)) "killed between tiles $cut times of 6"

# Killed again and again while it goes on.
begin
deaths=0
for try in 1 2 3 4 5 6; do
	at=$(echo "$seconds" | awk '{print $1 * 0.35}')
	killed KILL "$at" "$work/towns.csv" "$work/same.csv" --resume
	if is_cut; then
		deaths=$((deaths + 1))
		[ $deaths = 2 ] && break
	elif ! is_marked; then # it was through, or had not begun
		begin
		deaths=0
	fi
done
exits 0 "killed $deaths times between tiles, it goes on" import "$store" \
	"$work/towns.csv" "$work/same.csv" --batch $BATCH --resume
dump "$store" "$work/resumed"
cmp -s "$work/whole" "$work/resumed"
ok $? 'what is there is what one puts, each record once'
moments='0.2 0.5 0.85'

before=$work/ids.ndjson
kind 'vectors with --ids' "$work/k.npy" --ids "$work/ids"
before=

# ---- what stops one, and what one is told

# The first file is in the store when the second one begins.
perl -e 'print "key,n:int\n"; print "e$_,$_\n" for 1 .. 150' >"$work/e.csv"
printf '%s\n' '3 4' 'w1 1 2 3 4' 'w2 1 2 3 x' 'w3 1 2 3 4' >"$work/e.vec"
fresh 4
exits 0 'two files' import "$store" "$work/e.csv" "$work/e.vec" --skip-bad --json
whole=$(totals <"$work/out")
fresh 4
exits 7 'the second one has a bad record' import "$store" \
	"$work/e.csv" "$work/e.vec"
exits 0 'it goes on with the second one' import "$store" "$work/e.csv" \
	"$work/e.vec" --skip-bad --json --resume
is "$(totals <"$work/out")" "$whole" 'and the totals are those of both'

perl -e 'print qq({"key":"k$_"}\n) for 1 .. 250; print "oops\n";
	print qq({"key":"k$_"}\n) for 251 .. 500' >"$work/s.ndjson"
fresh
exits 7 'a bad record stops an import' import "$store" "$work/s.ndjson" \
	--batch 100
like "$err" '*s.ndjson:200, commit 2; --resume goes on from there' 'and that is said'
exits 0 'stat has its mark' stat "$store"
like "$out" '*import:*turns=200 *' 'and how far it is'
exits 7 'it goes on, and stops there again' import "$store" "$work/s.ndjson" \
	--batch 30 --resume
like "$err" '*goes on after 200 records, *commit 2*s.ndjson:230, commit 3;*' \
	'a commit further'
exits 7 'once more' import "$store" "$work/s.ndjson" --resume
like "$err" '*goes on after 230 records, *; nothing more was imported' \
	'nothing more'
exits 0 'and is through without the bad one' import "$store" \
	"$work/s.ndjson" --batch 100 --resume --skip-bad --json
is "$(field records <"$work/out") $(field bad <"$work/out")" '500 1' \
	'which is counted'
is "$(figure entities)" 500 'all are there'
is "$(versions "$store")" 0 'none twice'
exits 0 'and no mark is' stat "$store"
case $out in *import:*) ok 1 'is left' ;; *) ok 0 'is left' ;; esac
exits 0 'one that is through has nothing to go on with' import "$store" \
	"$work/s.ndjson" --resume --skip-bad
like "$err" '*no import of these files, with these options, broke off in this store: it begins at the start*' \
	'and says so'
is "$(figure entities)" 500 'and there is no more than before'

stop_one()
{
	fresh
	run import "$store" "$work/s.ndjson" --batch 100 "$@"
}
stop_one
exits 7 'without --resume' import "$store" "$work/s.ndjson" --batch 150
like "$err" '*broke off after 200 records; this one begins at the start, --resume goes on*' \
	'it begins at the start'
like "$err" '*s.ndjson:150, commit 3; *' 'and keeps how far that is'
stop_one
exits 2 'with --atomic there is nothing to go on with' import "$store" \
	"$work/s.ndjson" --atomic --resume
exits 0 'another file' import "$store" "$work/ids.ndjson" --resume
like "$err" '*no import of these files*' 'is another import'
exits 7 'another --type, too' import "$store" "$work/s.ndjson" --resume --type T
like "$err" '*no import of these files*' 'for its records mean something else'
stop_one
sed 's/oops/{"key":"mended"}/' "$work/s.ndjson" >"$work/mended"
cp "$work/s.ndjson" "$work/kept"
cp "$work/mended" "$work/s.ndjson"
exits 0 'a file that has changed' import "$store" "$work/s.ndjson" --resume
like "$err" '*broke off after 200 records, but they are others now*begins at the start*' \
	'is imported from its start'
is "$(figure entities)" 501 'all of it'
cp "$work/kept" "$work/s.ndjson"
stop_one
(cd "$work" && "$COPPICE" import "${store##*/}" ./s.ndjson --resume --skip-bad 2>"$work/err")
like "$(cat "$work/err")" '*goes on after 200 records*' \
	'a file is the same by another name of it'

fresh
"$COPPICE" import "$store" - --batch 100 <"$work/s.ndjson" 2>/dev/null
"$COPPICE" import "$store" - --batch 100 --resume --skip-bad \
	<"$work/s.ndjson" 2>"$work/err"
like "$(cat "$work/err")" '*goes on after 200 records*' \
	'standard input goes on if it comes again'
is "$(figure entities) $(versions "$store")" '500 0' 'and each record is there once'
fresh
"$COPPICE" import "$store" - --batch 100 <"$work/s.ndjson" 2>/dev/null
head -n 150 "$work/s.ndjson" |
	"$COPPICE" import "$store" - --resume 2>"$work/err"
is $? 7 'one that ends too soon is refused'
like "$(cat "$work/err")" '*150 records are there, of 200 that were in the store*' \
	'and told so'

fresh
i=0
while [ $i -lt 34 ]; do
	i=$((i + 1))
	"$COPPICE" import "$store" "$work/s.ndjson" --batch 100 --type "T$i" \
		2>/dev/null
done
"$COPPICE" stat "$store" >"$work/out"
is "$(grep -c '^mark .*import:' "$work/out")" 32 \
	'of imports that nobody goes on with the newest 32 have marks'
exits 7 'the newest' import "$store" "$work/s.ndjson" --type T34 --resume
like "$err" '*goes on after 200 records*' 'can go on'
exits 7 'the oldest' import "$store" "$work/s.ndjson" --type T1 --resume
like "$err" '*begins at the start*' 'cannot'

# ---- a signal that it can answer

broken TERM
is $killed 143 'SIGTERM ends an import'
like "$(cat "$work/err")" '*interrupted; in the store is everything up to *; --resume goes on from there' \
	'which says that it can go on'
for at in 0.2 0.1 0.05 0.03 0.02 0.01; do
	killed KILL $at "$work/k.ndjson" --skip-bad --resume
	is_marked && break
	broken TERM
done
is $killed 137 'and killed once more'
exits 0 'it goes on' import "$store" "$work/k.ndjson" --skip-bad --resume
is "$(versions "$store")" 0 'each record is there once'
begin
"$COPPICE" import "$store" "$work/k.ndjson" --skip-bad --quiet
"$COPPICE" export "$store" --quiet >"$work/whole"

# ---- another store of it

broken KILL
"$COPPICE" compact "$store" --quiet
"$COPPICE" backup "$store" "$work/backup" --quiet
"$COPPICE" restore "$work/backup" "$work/restored" --quiet
exits 0 'it goes on in a store that a backup of it was restored to' import \
	"$work/restored" "$work/k.ndjson" --skip-bad --resume
like "$err" '*goes on after *' 'from where that was'
"$COPPICE" export "$work/restored" --quiet >"$work/resumed"
cmp -s "$work/whole" "$work/resumed"
ok $? 'and has all'

done_testing
