#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""hdf5_vectors.py FILE.hdf5 [DATASET] >OUT.npy: a table of numbers in an HDF5
file, as ann-benchmarks hands them out, as an array that coppice imports, or
straight on:

    hdf5_vectors.py sift-128-euclidean.hdf5 | coppice import /srv/kg -

DATASET is by default "train"; --list tells which there are.  Some rows are
read at a time, so memory is the same whatever the file's size.  Numbers stay of
the kind that they are, truth values become 0 and 1.  Needs Debian's
python3-h5py.  The status is 7 if the file is not as it should be, 2 if the
call is not, 6 if what comes out cannot be written."""

import argparse
import signal
import sys

try:
    import h5py
    import numpy
except ImportError as error:
    sys.exit(f"hdf5_vectors: {error}. Try: apt install python3-h5py")

BYTES = 8 << 20  # read at a time, a row or a chunk of the file at least
KINDS = {"f2", "f4", "f8", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"}


def fail(status, text):
    """Ends with a message."""
    print(f"hdf5_vectors: {text}", file=sys.stderr)
    sys.exit(status)


def datasets(file):
    """All datasets, by name."""
    found = []
    file.visititems(lambda name, item: found.append((name, item))
                    if isinstance(item, h5py.Dataset) else None)
    return found


def told(item):
    """What a dataset is, in a few words."""
    return f"{' x '.join(map(str, item.shape or ())) or 'one'}\t{item.dtype}"


def wanted(file, path, name):
    """The dataset, which has rows of numbers."""
    item = file.get(name)
    if not isinstance(item, h5py.Dataset):
        names = ", ".join(found for found, _ in datasets(file)) or "none"
        fail(7, f"{path}: has no dataset '{name}'; it has {names}")
    if len(item.shape or ()) != 2 or 0 in item.shape:
        fail(7, f"{path}: dataset '{name}' is {told(item).split(chr(9))[0]}; "
                "rows and numbers in them are wanted")
    if item.dtype.str[1:] not in KINDS | {"b1"}:
        fail(7, f"{path}: dataset '{name}' is of {item.dtype}; floats of 16, "
                "32 and 64 bits and whole numbers of up to 64 are wanted")
    return item


def write(item, path, out):
    """The dataset as .npy."""
    kind = item.dtype if item.dtype.str[1:] in KINDS else numpy.dtype("u1")
    step = max(1, BYTES // (item.shape[1] * kind.itemsize))
    if item.chunks:
        step = max(step // item.chunks[0], 1) * item.chunks[0]
    numpy.lib.format.write_array_header_1_0(
        out, {"descr": kind.str, "fortran_order": False, "shape": item.shape})
    for at in range(0, item.shape[0], step):
        try:
            rows = item[at:at + step]
        except (OSError, RuntimeError) as error:
            fail(7, f"{path}: cannot be read at row {at}: {error}")
        out.write(numpy.ascontiguousarray(rows, dtype=kind).data)
    out.flush()


def main():
    """The command."""
    parser = argparse.ArgumentParser(
        prog="hdf5_vectors.py", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("dataset", nargs="?", default="train")
    parser.add_argument("--list", action="store_true",
                        help="tell the datasets: name, shape, kind")
    args = parser.parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        file = h5py.File(args.file, "r")
    except OSError as error:
        fail(7, f"{args.file}: {error}")
    with file:
        if args.list:
            for name, item in datasets(file):
                print(f"{name}\t{told(item)}")
            return
        item = wanted(file, args.file, args.dataset)
        if sys.stdout.isatty():
            fail(2, "an array is nothing for a terminal. Try: >OUT.npy")
        try:
            write(item, args.file, sys.stdout.buffer)
        except OSError as error:
            fail(6, f"standard output: {error}")


if __name__ == "__main__":
    main()
