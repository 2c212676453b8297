#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_bad_input: what must be refused is, in words, and nothing ever crashes.
# COPPICE_SEED repeats a random run, COPPICE_ROUNDS makes it longer.
. "$(dirname "$0")/tap.sh"

exits 0 'a store' init "$store" --dim 3
printf '%s\n' '{"key":"a","vector":[1,2,3]}' '{"key":"b","vector":[3,2,1]}' \
	'{"source":"a","relation":"r","target":"b"}' >"$work/good.ndjson"
exits 0 'something in it' import "$store" "$work/good.ndjson"
"$COPPICE" scan "$store" --vector --edges >"$work/before"

# refused NAME TEXT: as a line on stdin it is bad input
refused()
{
	printf '%s\n' "$2" | "$COPPICE" put "$store" >"$work/out" 2>"$work/err"
	is "$?" 7 "put refuses $1"
	like "$(cat "$work/err")" 'coppice: standard input:1: *' 'and says where'
}
long=$(perl -e 'print "k" x 481')
fits=$(perl -e 'print "k" x 480')
name=$(perl -e 'print "n" x 256')
refused 'an empty key' '{"key":""}'
refused 'a key of 481 bytes' "{\"key\":\"$long\"}"
refused 'a type of 256 bytes' "{\"key\":\"x\",\"type\":\"$name\"}"
refused 'a tag of 256 bytes' "{\"key\":\"x\",\"tags\":[\"$name\"]}"
refused 'an empty tag' '{"key":"x","tags":[""]}'
refused 'a property name of 256 bytes' "{\"key\":\"x\",\"$name\":1}"
refused 'an empty source' '{"source":"","relation":"r","target":"a"}'
refused 'a target of 481 bytes' "{\"source\":\"a\",\"relation\":\"r\",\"target\":\"$long\"}"
refused 'an empty relation' '{"source":"a","relation":"","target":"b"}'
refused 'a dangling edge' '{"source":"a","relation":"r","target":"nobody"}'
refused 'a vector of two numbers' '{"key":"x","vector":[1,2]}'
refused 'an empty vector' '{"key":"x","vector":[]}'
refused 'a zero vector' '{"key":"x","vector":[0,0,0]}'
refused 'NaN in JSON' '{"key":"x","vector":[1,2,NaN]}'
refused 'infinity in JSON' '{"key":"x","vector":[1,2,Infinity]}'
refused 'a number beyond float32' '{"key":"x","vector":[1,2,1e300]}'
printf '{"key":"x","name":"\300\200"}\n' | "$COPPICE" put "$store" 2>"$work/err"
is "$?" 7 'put refuses an overlong NUL'
like "$(cat "$work/err")" '*byte 20 (0xc0) is not UTF-8' 'and says where'
perl -e 'print pack("L<f<3", 3, 1, 9**9**9, 1)' >"$work/inf.fvecs"
exits 7 'infinity in .fvecs' import "$store" "$work/inf.fvecs"
exits 7 'infinity in a query' search "$store" --vector "$work/inf.fvecs"
echo '[1, nan, 2]' >"$work/q"
exits 7 'NaN in a query' search "$store" --vector "$work/q"
echo '[1, 2' >"$work/q"
exits 7 'half a list' search "$store" --vector "$work/q"
echo '1 2' >"$work/q"
exits 7 'a query of two numbers' search "$store" --vector "$work/q"
echo '1 2 3 4' >"$work/q"
exits 7 'a query of four numbers' search "$store" --vector "$work/q"
echo '0 0 0' >"$work/q"
exits 7 'a zero query under cosine' search "$store" --vector "$work/q"
echo '1,,2,3' >"$work/q"
exits 7 'two commas' search "$store" --vector "$work/q"
exits 7 'an empty key to get' get "$store" ''
exits 7 'a key of 481 bytes to get' get "$store" "$long"
exits 2 'signs of no vectors' init "$work/none" --signs
exits 2 'a time to live without a cache' init "$work/none" --cache-ttl 3
exits 2 'a cache larger than the memory' init "$work/none" --cache 1T
exits 2 'hops from nowhere' search "$store" --like a --hops 2
exits 2 'two conditions' put "$store" --if-absent --if-version 3
exits 2 'no hops' search "$store" --like a --near a --hops 0
exits 2 'the width of a scan' search "$store" --like a --strategy scan --ef 9
exits 2 'any of no tags' search "$store" --like a --any-tag
exits 2 'many explained' search "$store" --queries "$work/q" --explain
exits 2 'threads for one query' search "$store" --like a --threads 2
exits 2 'samples of no audit' check "$store" --samples 3
exits 1 'one of 480 bytes' get "$store" "$fits"
exits 2 'an unknown relation' walk "$store" a --relation nope
exits 2 'an unknown direction' walk "$store" a --direction sideways
printf '{"key":"\033[31mred\007"}\n' >"$work/escape.ndjson"
exits 7 'control characters in a message' import "$store" "$work/escape.ndjson"
is "$(tr -d '\033\007' <"$work/err" | wc -c)" "$(wc -c <"$work/err")" \
	'do not reach the terminal'
"$COPPICE" scan "$store" --vector --edges >"$work/after"
cmp -s "$work/before" "$work/after"
ok $? 'none of it changed the store'

# ---- folders that are no stores

mkdir "$work/folder"
exits 3 'an empty folder' stat "$work/folder"
echo text >"$work/folder/file"
exits 3 'a folder with something else' stat "$work/folder"
exits 3 'import into it' import "$work/folder" "$work/good.ndjson"
exits 2 'init in it' init "$work/folder" --dim 3
is "$(ls "$work/folder")" file 'nothing was written there'
exits 3 'a file' stat "$work/folder/file"
exits 3 'nothing' stat "$work/no/such/folder"

# ---- a folder that may only be read

# as_nobody ARG...: runs coppice as a user without rights
as_nobody()
{
	if [ "$(id -u)" != 0 ]; then
		"$COPPICE" "$@"
	else
		setpriv --reuid=65534 --regid=65534 --clear-groups \
			"$COPPICE" "$@"
	fi
}
can_drop=1
if [ "$(id -u)" = 0 ]; then
	setpriv --reuid=65534 --regid=65534 --clear-groups true 2>/dev/null ||
		can_drop=0
	chmod 755 "$work"
fi
as_nobody --version >/dev/null 2>&1 || can_drop=0
if [ $can_drop = 1 ]; then
	exits 0 'another store' init "$work/locked" --dim 3
	"$COPPICE" detach "$work/locked"
	[ "$(id -u)" = 0 ] || chmod -R a-w "$work/locked"
	as_nobody stat "$work/locked" >"$work/out" 2>"$work/err"
	is "$?" 9 'a store that one may not write: 9'
	like "$(cat "$work/err")" 'coppice: ?*' 'and words'
	echo '{"key":"x"}' | as_nobody put "$work/locked" >/dev/null 2>"$work/err"
	is "$?" 9 'a put into it: 9'
	mkdir "$work/mine"
	chmod 555 "$work/mine"
	as_nobody init "$work/mine/store" --dim 3 2>"$work/err"
	is "$?" 9 'init where one may not write: 9'
	chmod -R u+w "$work/locked" "$work/mine"
	# who may write to all of it, but not give it to its group
	exits 0 'a store of everybody' init "$work/shared" --dim 3 --mode 0666
	"$COPPICE" detach "$work/shared"
	as_nobody compact "$work/shared" >/dev/null 2>&1
	[ $? = 0 ] || [ ! -d "$work/shared/gen-000002" ]
	ok $? 'a compaction that may not finish leaves no folder'
	"$COPPICE" detach "$work/shared"
else
	skip 'cannot become another user' 'a store that may only be read'
fi

# ---- random bytes: any answer but a crash

seed=${COPPICE_SEED:-$$}
rounds=${COPPICE_ROUNDS:-60}
diag "COPPICE_SEED=$seed COPPICE_ROUNDS=$rounds"
printf 'source,type,target,note\na,r,b,"x ""y"""\nb,s,a,\n' >"$work/s.csv"
printf '%s\n' '{"key":"a","type":"T","tags":["t","u"],"p":{"q":[1,2.5,null]},"content":"c","vector":[1,2,3]}' \
	'{"id":5,"name":"five"}' '{"source":"a","relation":"r","target":5,"w":1}' >"$work/s.ndjson"
perl -e 'print pack("(L<f<3)4", map((3, $_, 1, 2), 1 .. 4))' >"$work/s.fvecs"
perl -e 'my $h = "{\x27descr\x27: \x27<f4\x27, \x27fortran_order\x27: False, \x27shape\x27: (4, 3), }";
	$h .= " " x (117 - length $h) . "\n";
	print "\x93NUMPY", pack("CCS<", 1, 0, length $h), $h, pack("f<*", 1 .. 12)' \
	>"$work/s.npy"
gzip -c "$work/s.ndjson" >"$work/s.ndjson.gz"
cat >"$work/mutate.pl" <<'END'
use strict;
my ($from, $to, $seed) = @ARGV;
srand($seed);
local $/;
open my $in, '<:raw', $from or die;
my $data = <$in>;
for (0 .. rand 4) {
	my ($at, $kind) = (int rand length $data, int rand 6);
	if ($kind == 0) { substr($data, $at, 1) = chr rand 256 }
	elsif ($kind == 1) { substr($data, $at, 1) ^= chr 1 << rand 8 }
	elsif ($kind == 2) { $data = substr($data, 0, $at) }
	elsif ($kind == 3) { substr($data, $at, 0) = join '', map { chr rand 256 } 0 .. rand 20 }
	elsif ($kind == 4) { substr($data, $at, rand 20) = '' }
	else { my $cut = substr $data, $at, rand 40; substr($data, rand length $data, 0) = $cut x (1 + rand 3) }
	$data = 'x' if $data eq '';
}
open my $out, '>:raw', $to or die;
print $out $data;
END
exits 0 'a store to be hurt' init "$work/fuzz" --dim 3
for file in s.ndjson s.csv s.fvecs s.npy s.ndjson.gz; do
	format=${file#s.}
	format=${format%.gz}
	worst=0
	round=0
	while [ "$round" -lt "$rounds" ]; do
		round=$((round + 1))
		perl "$work/mutate.pl" "$work/$file" "$work/mutant" \
			$((seed * 1000 + round))
		set -- import "$work/fuzz" "$work/mutant" -q
		[ "$format" = npy ] || [ "$format" = fvecs ] ||
			set -- "$@" --dangling stub
		[ $((round % 3)) = 0 ] || set -- "$@" --format "$format"
		[ $((round % 5)) = 0 ] && set -- "$@" --skip-bad
		"$COPPICE" "$@" >/dev/null 2>"$work/err"
		status=$?
		if [ "$status" -ge 70 ]; then
			worst=$status
			diag "round $round: status $status: $(cat "$work/err")"
			break
		fi
	done
	is "$worst" 0 "$rounds mutants of $file: never a crash"
done
worst=0
round=0
while [ "$round" -lt "$rounds" ]; do
	round=$((round + 1))
	perl -e 'srand $ARGV[0]; print map { chr rand 256 } 0 .. rand 400' \
		$((seed * 1000 + round)) >"$work/mutant"
	for format in ndjson csv npy fvecs fbin word2vec glove; do
		"$COPPICE" import "$work/fuzz" "$work/mutant" -q \
			--format $format >/dev/null 2>&1
		status=$?
		[ "$status" -lt 70 ] || worst=$status
	done
	"$COPPICE" search "$work/fuzz" --vector "$work/mutant" >/dev/null 2>&1
	status=$?
	[ "$status" -lt 70 ] || worst=$status
done
is "$worst" 0 "$rounds files of random bytes in each format: never a crash"
exits 0 'the store is still one' stat "$work/fuzz"
run scan "$work/fuzz" --vector --edges
[ "$status" -le 1 ]
ok $? 'everything in it can be read'
json "$work/out"
ok $? 'and is JSON'
done_testing
