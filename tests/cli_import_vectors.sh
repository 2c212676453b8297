#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_import_vectors: vectors in all the forms that they are handed on in.
. "$(dirname "$0")/tap.sh"

# vectors: all keys and vectors, one a line
vectors()
{
	"$COPPICE" scan "$store" --json --vector | perl -CO -MJSON::PP -ne '
		my $e = decode_json($_);
		print "$e->{key}=", join(",", @{$e->{vector} // []}), " "'
}

# refused FILE PATTERN NAME [OPTION...]
refused()
{
	refused_file=$1
	refused_why=$2
	refused_name=$3
	shift 3
	run import "$store" "$refused_file" "$@"
	is "$status" 7 "$refused_name: refused"
	like "$err" "coppice: $refused_file*$refused_why*" \
		"$refused_name: says where and why"
}

# pack FILE TEMPLATE VALUE...
pack()
{
	pack_to=$1
	shift
	perl -e 'print pack(shift, @ARGV)' "$@" >"$pack_to"
}

# npy FILE DESCR SHAPE PACK NUMBER...
npy()
{
	npy_to=$1
	shift
	perl -e 'my ($d, $s, $p, @n) = @ARGV;
		my $h = "{\x27descr\x27: \x27$d\x27, \x27fortran_order\x27: False, \x27shape\x27: ($s), }";
		$h .= " " x (63 - (10 + length $h) % 64) . "\n";
		print "\x93NUMPY", pack("CCS<", 1, 0, length $h), $h, pack("$p*", @n)' \
		"$@" >"$npy_to"
}

# ---- tables of numbers

while read -r name template values; do
	fresh 3
	# shellcheck disable=SC2086
	pack "$work/t.$name" "$template" $values
	exits 0 ".$name" import "$store" "$work/t.$name"
	is "$(vectors)" '0=1,2,3 1=4,5,6 ' "its numbers"
	head -c "$(($(wc -c <"$work/t.$name") - 1))" "$work/t.$name" \
		>"$work/cut.$name"
	refused "$work/cut.$name" 'breaks off in row 1' ".$name cut off"
done <<END
fvecs L<f<3L<f<3 3 1 2 3 3 4 5 6
bvecs L<C3L<C3 3 1 2 3 3 4 5 6
ivecs L<l<3L<l<3 3 1 2 3 3 4 5 6
fbin L<L<f<6 2 3 1 2 3 4 5 6
u8bin L<L<C6 2 3 1 2 3 4 5 6
i8bin L<L<c6 2 3 1 2 3 4 5 6
ibin L<L<l<6 2 3 1 2 3 4 5 6
END
fresh 3
printf x >"$work/t.fbin"
refused "$work/t.fbin" 'too short' 'a header cut off'
pack "$work/t.fbin" 'L<L<' 2 0
refused "$work/t.fbin" '0 numbers' 'rows of nothing'
pack "$work/t.fbin" 'L<L<f<4' 2 2 1 2 3 4
refused "$work/t.fbin" '2 numbers, this store' 'another dimension'
pack "$work/t.u8bin" 'L<L<C7' 2 3 1 2 3 4 5 6 7
refused "$work/t.u8bin" 'bytes follow' 'more than promised'
pack "$work/t.i8bin" 'L<L<c3' 4000000000 3 1 2 3
refused "$work/t.i8bin" 'breaks off in row 1' 'a count out of all bounds'
pack "$work/t.i8bin" 'L<L<c6' 2 3 -1 -2 -128 127 1 2
exits 0 'int8' import "$store" "$work/t.i8bin"
is "$(vectors)" '0=-1,-2,-128 1=127,1,2 ' 'has a sign'

# ---- .npy: kinds of numbers

while read -r descr pack values; do
	fresh 3
	# shellcheck disable=SC2086
	npy "$work/k.npy" "$descr" '2, 3' "$pack" $values
	exits 0 ".npy of $descr" import "$store" "$work/k.npy"
	[ "$descr" = '>f2' ] && values='1 -2 5.96046448e-08 65504 6.10351562e-05 0.224975586'
	is "$(vectors)" "0=$(echo "$values" | cut -d' ' -f1-3 | tr ' ' ,)$(
		printf ' 1=%s ' "$(echo "$values" | cut -d' ' -f4-6 | tr ' ' ,)")" \
		'its numbers'
done <<END
>f4 f> 1 -2 0.5 4 5 6
>f2 n 15360 49152 1 31743 1024 13107
>f8 d> 1 -2 0.5 4 5 6
<i2 s< 1 -2 -32768 4 5 6
>i2 s> 1 -2 -32768 4 5 6
<u2 S< 1 2 65535 4 5 6
<i4 l< 1 -2 -65536 4 5 6
<u4 L< 1 2 65536 4 5 6
<i8 q< 1 -2 -65536 4 5 6
>i8 q> 1 -2 -65536 4 5 6
<u8 Q< 1 2 65536 4 5 6
END
fresh 3
npy "$work/c.npy" '<c8' '1, 3' 'd<' 1 2 3
refused "$work/c.npy" "kind '<c8'*astype" 'complex numbers'

# ---- .npz

if command -v zip >/dev/null; then
	npy "$work/x.npy" '<f4' '2, 3' 'f<' 1 2 3 4 5 6
	npy "$work/emb_a.npy" '<f4' '2, 3' 'f<' 6 5 4 3 2 1
	npy "$work/vectors.npy" '<f4' '2, 3' 'f<' 7 8 9 1 2 3
	npy "$work/labels.npy" '<i4' '4,' 'l<' 1 2 3 4
	for how in -0 -9; do
		rm -f "$work"/*.npz
		(cd "$work" && zip -q $how one.npz labels.npy x.npy &&
			zip -q $how two.npz x.npy vectors.npy emb_a.npy &&
			zip -q $how like.npz x.npy k.npy &&
			cp k.npy y.npy && zip -q $how none.npz labels.npy)
		fresh 3
		exits 0 ".npz, zip $how" import "$store" "$work/one.npz"
		is "$(vectors)" '0=1,2,3 1=4,5,6 ' 'its only array with rows'
		exits 0 'more' import "$store" "$work/two.npz"
		is "$(vectors)" '0=7,8,9 1=1,2,3 ' 'the one called vectors'
		exits 0 'the one asked for' import "$store" "$work/two.npz" \
			--array emb_a
		is "$(vectors)" '0=6,5,4 1=3,2,1 ' 'is taken'
		refused "$work/like.npz" 'more than one*x, k' 'two alike'
		refused "$work/none.npz" 'none of its arrays*labels' 'none'
		refused "$work/two.npz" "no array 'z'" 'another' --array z
		head -c 200 "$work/two.npz" >"$work/cut.npz"
		refused "$work/cut.npz" 'directory' 'cut off'
		i=0
		worst=0
		while [ $i -lt 40 ]; do
			i=$((i + 1))
			perl -pe 'BEGIN { $/ = undef; srand shift }
				substr($_, rand length, 1) = chr rand 256 for 1 .. 4' \
				$i "$work/two.npz" >"$work/mutant.npz"
			run import "$store" "$work/mutant.npz" -q
			[ "$status" -lt 70 ] || worst=$status
		done
		is "$worst" 0 '40 mutants: never a crash'
	done
	# One number of a member is another one than was packed: stored, in the
	# file itself; deflated, in the sum that its directory has.
	for how in -0 -9; do
		rm -f "$work"/*.npz
		(cd "$work" && zip -q $how one.npz labels.npy x.npy)
		perl -pe 'BEGIN { $/ = undef; $how = shift }
			$at = $how eq "-0" ? index($_, pack "f<", 6)
				: rindex($_, "PK\1\2") + 16;
			substr($_, $at, 1) ^= "\1"' -- \
			$how "$work/one.npz" >"$work/sum.npz"
		fresh 3
		refused "$work/sum.npz" "array 'x' is damaged*CRC-32" \
			"zip $how, a bit turned over"
		is "$(figure entities)" 0 'nothing of it is put'
		refused "$work/sum.npz" "array 'x' is damaged" \
			'asked for by its name' --array x
		exits 0 'an array beside it' import "$store" "$work/one.npz"
	done
	npy "$work/long.npy" '<f4' '200000, 3' 'f<' 1 2 3
	perl -e 'for (my $i = 1; $i < 200000; $i++) {
		print pack("f<3", $i, 1, 2) }' >>"$work/long.npy"
	rm -f "$work"/*.npz
	(cd "$work" && zip -q -0 long.npz long.npy)
	perl -pe 'BEGIN { $/ = undef } $at = rindex $_, pack("f<", 199999);
		substr($_, $at, 1) ^= "\1"' "$work/long.npz" >"$work/sum.npz"
	fresh 3
	refused "$work/sum.npz" "array 'long' is damaged*in the store is everything up to" \
		'a long array'
	[ "$(figure entities)" -gt 0 ] && [ "$(figure entities)" -lt 200000 ]
	ok $? 'what was committed before is in the store, not all'
	fresh 3
	refused "$work/sum.npz" "array 'long' is damaged" 'and with --atomic' \
		--atomic
	is "$(figure entities)" 0 'nothing is'
	rm -f "$work"/long.* "$work/sum.npz"
	(cd "$work" && zip -q -0 one.npz x.npy)
	cat "$work/one.npz" | "$COPPICE" import "$store" - 2>/dev/null
	is "$?" 7 "from a pipe it is refused"
else
	skip 'no zip here' '.npz'
fi

# ---- words and their vectors

fresh 3
printf '2 3\nqueen 0.5 -1 2.5e-1 \r\nk\303\266nig 1 2 3\n' >"$work/w.txt"
exits 0 'word2vec as text' import "$store" "$work/w.txt"
is "$(vectors)" 'queen=0.5,-1,0.25 könig=1,2,3 ' 'words are keys'
fresh 3
printf '\357\273\277queen 0.5 -1 2.5e-1\n\n. . . +1 .5 5.\n' >"$work/g.txt"
exits 0 'GloVe; words may have spaces' import "$store" "$work/g.txt" --format glove
is "$(vectors)" 'queen=0.5,-1,0.25 . . .=1,0.5,5 ' 'words are keys'
echo '{"key":"queen","type":"T","a":1}' | "$COPPICE" put "$store" >/dev/null
exits 0 'again' import "$store" "$work/g.txt" --format glove
run get "$store" queen --json --vector
is "$out" '{"key":"queen","type":"T","tags":[],"properties":{"a":1},"content":null,"vector":[0.5,-1,0.25]}' \
	'an entity that is there keeps all but its vector'
refused "$work/g.txt" 'begins with the number of words' 'no first line' \
	--format word2vec
fresh 8
printf 'the 1 2 3 4 5 6 7 8\nof 8 7 6 5 4 3 2 -1e-3\n' >"$work/g8"
exits 0 'GloVe is known by its numbers' import "$store" "$work/g8"
is "$(vectors)" 'the=1,2,3,4,5,6,7,8 of=8,7,6,5,4,3,2,-0.00100000005 ' 'its vectors'
gzip -c "$work/g8" >"$work/g8.gz"
exits 0 'queries' search "$store" --queries "$work/g8.gz" -k 1
fresh 3
printf 'a 1 2 3\nb 1 2\nc 1 2 3 4\nd 1 x 3\ne 1 2 1e39\n 1 2 3\nf 1 2 3\ng 1,5 2 3\n' \
	>"$work/bad.vec"
refused "$work/bad.vec" ':2: 2 numbers after the word, 3 are wanted' 'too few numbers'
for line in '1 a 1 2 3 4:after the word are more' '1 b 1 2:2 numbers after' \
	'1 c 1 x 3:number 2, ?x?' '1 d 1 2 1e39:number 3' '1 e 1,5 2 3:number 1'; do
	printf 'good 1 2 3\n%s\n' "$(echo "${line%%:*}" | cut -c3-)" >"$work/one.vec"
	refused "$work/one.vec" ":2: ${line#*:}" "a line '${line%%:*}'"
done
exits 0 'with --skip-bad' import "$store" "$work/bad.vec" --skip-bad --json
is "$(field bad <"$work/out") $(field vectors_put <"$work/out")" '6 2' \
	'the good ones are in'
printf '3 3\na 1 2 3\nb 1 2 3\n' >"$work/few.vec"
refused "$work/few.vec" 'promises 3' 'fewer words than promised'
printf '1 3\na 1 2 3\nb 1 2 3\n' >"$work/many.vec"
refused "$work/many.vec" ':3: more words' 'more words than promised'
run import "$store" "$work/few.vec" --ids "$work/g8"
is "$status" 2 '--ids for words is refused'

fresh 3
perl -e 'print "2 3\n", "queen ", pack("f<3", 0.5, -1, 0.25), "\n", "king ",
	pack("f<3", 1, 2, 3), "\n"' >"$work/w.bin"
exits 0 'word2vec, binary' import "$store" "$work/w.bin"
is "$(vectors)" 'queen=0.5,-1,0.25 king=1,2,3 ' 'words are keys'
perl -e 'print "2 3\n", "queen ", pack("f<3", 0.5, -1, 0.25), "king ",
	pack("f<3", 1, 2, 3)' >"$work/w2.bin"
fresh 3
exits 0 'without ends of lines' import "$store" "$work/w2.bin"
is "$(vectors)" 'queen=0.5,-1,0.25 king=1,2,3 ' 'too'
head -c 36 "$work/w2.bin" >"$work/w3.bin"
refused "$work/w3.bin" 'breaks off in row 1' 'binary, cut off'
head -c 22 "$work/w2.bin" >"$work/w3.bin"
refused "$work/w3.bin" 'promises 2' 'binary, a word too few'
(cat "$work/w2.bin" && echo x) >"$work/w3.bin"
refused "$work/w3.bin" 'bytes follow' 'binary, more than promised'
(echo 2 3 && head -c 9000 /dev/zero) >"$work/w3.bin"
refused "$work/w3.bin" 'no word' 'binary, no word' --format word2vec

# ---- real data

if [ $has_data = 0 ]; then
	skip 'no data here' 'arrays of others'
	done_testing
fi

# Those of kuzu's own tests; what numpy makes of them is what is to be there.
kuzu=$data/csv/kuzu/dataset
python=
for name in python3 /usr/bin/python3; do
	[ -z "$python" ] && "$name" -c 'import numpy' 2>/dev/null && python=$name
done

# same FILE: $store has its rows, of the keys that the rows' numbers are
same()
{
	if [ -z "$python" ]; then
		skip 'python3-numpy is missing' 'the numbers are those of numpy'
		return
	fi
	"$COPPICE" export "$store" --format npy --output "$work/back" --force \
		--quiet
	"$python" - "$1" "$work/back" >"$work/told" 2>&1 <<-'END'
		import sys, numpy
		rows = numpy.atleast_2d(numpy.load(sys.argv[1]))
		back = numpy.load(sys.argv[2] + '.npy')
		ids = [int(line) for line in open(sys.argv[2] + '.ids')]
		assert sorted(ids) == list(range(len(rows))), ids
		assert numpy.array_equal(rows.astype('f4')[ids], back), back
		END
	ok $? 'the numbers are those of numpy' || diag "$(cat "$work/told")"
}

seen=0
while read -r file dim rows; do
	seen=$((seen + 1))
	fresh "$dim"
	exits 0 "kuzu's $file" import "$store" "$kuzu/$file" --json
	is "$(field vectors_put <"$work/out")" "$rows" "$rows of $dim"
	same "$kuzu/$file"
done <<END
npy-1d/one_dim_double.npy 3 1
npy-1d/one_dim_double.jpy 3 1
npy-1d/one_dim_float.npy 3 1
npy-1d/one_dim_int16.npy 3 1
npy-1d/one_dim_int32.npy 3 1
npy-1d/one_dim_int64.npy 3 1
npy-2d/id_int64.npy 3 1
npy-2d/two_dim_double.npy 3 3
npy-2d/two_dim_float.npy 3 3
npy-2d/two_dim_int16.npy 3 3
npy-2d/two_dim_int32.npy 3 3
npy-2d/two_dim_int64.npy 3 3
npy-3d/id_int64.npy 2 1
npy-20k/two_dim_float.npy 10 20000
END
fresh 3
while read -r file why; do
	seen=$((seen + 1))
	refused "$kuzu/$file" "$why" "kuzu's $file"
done <<END
npy-1d/fortran_order.npy is in Fortran order*np.ascontiguousarray
npy-2d/three_dim_int64.npy has 3 dimensions, 2 are wanted
npy-3d/three_dim_int64.npy has 3 dimensions, 2 are wanted
npy-20k/id_int64.npy rows of 20000 numbers; 1 to 4096 are possible
END
is "$(find "$kuzu" -name '*.[nj]py' | wc -l)" $seen 'no array of kuzu is left'
if [ -n "$python" ]; then
	"$python" -c 'import sys, numpy
a = numpy.load(sys.argv[1])
numpy.save(sys.argv[2], numpy.ascontiguousarray(a))' \
		"$kuzu/npy-1d/fortran_order.npy" "$work/rows.npy"
	exits 0 'that in Fortran order, as it says' import "$store" "$work/rows.npy"
	same "$kuzu/npy-1d/fortran_order.npy"
else
	skip 'python3-numpy is missing' 'that in Fortran order'
fi

# Others.
exits 7 'sparse arrays' import "$store" "$data/citation/cora.npz"
like "$err" '*none of its arrays*adj_data*' 'say what there is'
fresh 10
exits 0 '.ivecs' import "$store" "$data/sift10k/gt_l2_top10.ivecs" --json
is "$(field vectors_put <"$work/out")" 1000 'all rows'
done_testing
