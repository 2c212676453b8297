#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# hdf5: rows of numbers in HDF5, as ann-benchmarks has them, become an array
# that is imported; what has no such rows is refused in words.
. "$(dirname "$0")/tap.sh"

python=/usr/bin/python3
"$python" -c 'import h5py' 2>/dev/null ||
	skip_all 'python3-h5py is not installed'

# told ARG...: runs the script: $status, $err; what it gives is $work/npy
told()
{
	"$python" tools/hdf5/hdf5_vectors.py "$@" >"$work/npy" 2>"$work/err"
	status=$?
	err=$(cat "$work/err")
}

# imported NAME WANTED
imported()
{
	fresh 3
	exits 0 "$1: imported" import "$store" "$work/npy"
	is "$("$COPPICE" scan "$store" --json --vector |
		perl -MJSON::PP -ne '$e = decode_json($_);
			print "$e->{key}=", join(",", @{$e->{vector}}), " "')" \
		"$2" "$1: its numbers"
}

"$python" - "$work" <<-'END'
	import sys, h5py, numpy
	rows = numpy.array([[1, 2, 3], [4, 5, 6]])
	with h5py.File(sys.argv[1] + '/a.hdf5', 'w') as file:
	    file.attrs['distance'] = 'euclidean'
	    file['train'] = rows.astype('<f4')
	    file['test'] = rows[::-1].astype('>f8')
	    file['deep/bytes'] = rows.astype('u1')
	    file['truth'] = rows % 2 == 1
	    file['flat'] = numpy.arange(6)
	    file['words'] = numpy.array([[b'a', b'b']])
	    file['none'] = numpy.zeros((0, 3), 'f4')
	    file['one'] = 7
	    # Larger than what is read at a time, in chunks that do not divide it.
	    many = numpy.arange(3 * 1000003, dtype='f4').reshape(-1, 3)
	    file.create_dataset('many', data=many, chunks=(1007, 3),
	                        compression='gzip', compression_opts=1)
	numpy.save(sys.argv[1] + '/many.npy', many)
END
ok $? 'a file of HDF5 is made'
file=$work/a.hdf5

told "$file"
is "$status $err" '0 ' 'train, unless another one is named'
imported train '0=1,2,3 1=4,5,6 '
told "$file" test
imported 'big endian, 64 bits' '0=4,5,6 1=1,2,3 '
told "$file" deep/bytes
imported 'bytes in a group' '0=1,2,3 1=4,5,6 '
told "$file" truth
imported 'truth values' '0=1,0,1 1=0,1,0 '
"$python" tools/hdf5/hdf5_vectors.py "$file" | "$COPPICE" import "$store" - \
	--quiet
ok $? 'through a pipe'
told "$file" many
cmp -s "$work/npy" "$work/many.npy"
ok $? 'a million rows are what numpy.save() writes, byte for byte'
told "$file" --list
is "$(sort "$work/npy" | tr '\t\n' ':;')" \
	'deep/bytes:2 x 3:uint8;flat:6:int64;many:1000003 x 3:float32;none:0 x 3:float32;one:one:int64;test:2 x 3:>f8;train:2 x 3:float32;truth:2 x 3:bool;words:1 x 2:|S1;' \
	'--list tells what there is'

# refused STATUS PATTERN NAME ARG...
refused()
{
	refused_want=$1
	refused_why=$2
	refused_name=$3
	shift 3
	told "$@"
	like "$status $err" "$refused_want hdf5_vectors: $refused_why" \
		"$refused_name is refused in words"
	[ ! -s "$work/npy" ]
	ok $? 'and nothing is given'
}
refused 7 "*has no dataset 'z'; it has *train*" 'a dataset that is not there' \
	"$file" z
refused 7 "*has no dataset 'deep'*" 'a group' "$file" deep
refused 7 '* is 6; rows and numbers*' 'one dimension' "$file" flat
refused 7 '* is one; rows and numbers*' 'none' "$file" one
refused 7 '* is 0 x 3; rows and numbers*' 'no rows' "$file" none
refused 7 '* is of |S1; floats*' 'words' "$file" words
refused 7 "$work/many.npy: *" 'no HDF5' "$work/many.npy"
refused 7 "$work/gone: *" 'no file' "$work/gone"
head -c 3000000 "$file" >"$work/cut.hdf5"
refused 7 "$work/cut.hdf5: *" 'a file cut off' "$work/cut.hdf5"

"$python" tools/hdf5/hdf5_vectors.py "$file" many >/dev/full 2>"$work/err"
is "$? $(cat "$work/err")" \
	'6 hdf5_vectors: standard output: [Errno 28] No space left on device' \
	'a full disk is told'
# With a chunk's bytes turned over its rows cannot be unpacked.
"$python" - "$file" "$work/bad.hdf5" <<-'END'
	import sys, h5py
	with h5py.File(sys.argv[1]) as file:
	    data = file['many']
	    at = data.id.get_chunk_info(data.id.get_num_chunks() - 1).byte_offset
	all = bytearray(open(sys.argv[1], 'rb').read())
	all[at:at + 64] = b'\xff' * 64
	open(sys.argv[2], 'wb').write(all)
END
told "$work/bad.hdf5" many
like "$status $err" '7 hdf5_vectors: */bad.hdf5: cannot be read at row *' \
	'a damaged part is told, with the row'
fresh 3
exits 7 'what came before it is no whole array' import "$store" "$work/npy" \
	--atomic
like "$err" '*breaks off in row*' 'which the import sees'
done_testing
