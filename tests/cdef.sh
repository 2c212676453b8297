#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The header for foreign-function parsers: each of them reads it, finds every
# struct laid out as the compiler does, and can call the library with it.
. "$(dirname "$0")/tap.sh"
. tests/hosts/host.sh

cdef=$PWD/$build/coppice.cdef.h
library=$PWD/$build/libcoppice.so.0
exits 0 'a store is made' init "$store" --dim 3
echo '{"key":"ada","vector":[1,0,0]}' >"$work/ada"
exits 0 'with one entity' import "$store" "$work/ada" --format ndjson -q

cat >"$work/layout.py" <<'END'
import sys
import cffi

ffi = cffi.FFI()
ffi.cdef(open(sys.argv[1]).read())
with open(sys.argv[2], "w") as out:
    print("#include <assert.h>\n#include <coppice.h>", file=out)
    for name in sorted(ffi.list_types()[1]):
        kind = ffi.typeof(f"struct {name}")
        if not kind.fields:
            continue
        print(f"static_assert(sizeof(struct {name}) == {ffi.sizeof(kind)}, "
              f"\"{name}\");", file=out)
        for member, field in kind.fields:
            print(f"static_assert(offsetof(struct {name}, {member}) == "
                  f"{field.offset}, \"{name}.{member}\");", file=out)
lib = ffi.dlopen(sys.argv[3])
store = ffi.new("cop_store **")
read = ffi.new("cop_read **")
hits = ffi.new("struct cop_hit[2]")
count = ffi.new("uint32_t *")
vector = ffi.new("float[3]", [1, 1, 0])
search = ffi.new("struct cop_search *", {
    "size": ffi.sizeof("struct cop_search"), "k": 2, "vector": vector})
assert lib.cop_open(sys.argv[4].encode(), ffi.NULL, store) == 0
assert lib.cop_read_begin(store[0], read) == 0
assert lib.cop_search(read[0], search, hits, count) == 0
lib.cop_read_end(read[0])
lib.cop_close(store[0])
print(count[0], hits[0].id)
END
if "$python" -c 'import cffi' 2>/dev/null; then
	out=$("$python" "$work/layout.py" "$cdef" "$work/layout.c" "$library" \
		"$store" 2>&1)
	is "$out" '1 1' 'cffi reads the header and searches'
	cc -std=c11 -Icore -fsyntax-only "$work/layout.c" 2>"$work/err"
	ok $? "and lays $(grep -c sizeof "$work/layout.c") structs out the same" ||
		diag "$(cat "$work/err")"
else
	skip 'python3-cffi is not installed' 'cffi'
fi

cat >"$work/jit.lua" <<'END'
local ffi = require("ffi")
ffi.cdef(io.open(arg[1]):read("*a"))
local lib = ffi.load(arg[2])
local store = ffi.new("cop_store *[1]")
local read = ffi.new("cop_read *[1]")
local hits = ffi.new("struct cop_hit[2]")
local count = ffi.new("uint32_t[1]")
local search = ffi.new("struct cop_search")
search.size = ffi.sizeof(search)
search.k = 2
search.vector = ffi.new("float[3]", 1, 1, 0)
assert(lib.cop_open(arg[3], nil, store) == 0)
assert(lib.cop_read_begin(store[0], read) == 0)
local vector = ffi.new("float[3]", 1, 1, 0)
search.vector = vector
assert(lib.cop_search(read[0], search, hits, count) == 0)
lib.cop_read_end(read[0])
lib.cop_close(store[0])
print(count[0] .. " " .. tonumber(hits[0].id))
END
if command -v luajit >/dev/null; then
	out=$(luajit "$work/jit.lua" "$cdef" "$library" "$store" 2>&1)
	is "$out" '1 1' 'LuaJIT reads the header and searches'
else
	skip 'luajit is not installed' 'LuaJIT'
fi

cat >"$work/ffi.php" <<'END'
<?php
$lib = FFI::cdef(file_get_contents($argv[1]), $argv[2]);
$store = $lib->new("cop_store *");
$read = $lib->new("cop_read *");
$hits = $lib->new("struct cop_hit[2]");
$count = $lib->new("uint32_t");
$vector = $lib->new("float[3]");
$vector[0] = $vector[1] = 1;
$search = $lib->new("struct cop_search");
$search->size = FFI::sizeof($search);
$search->k = 2;
$search->vector = FFI::addr($vector[0]);
assert($lib->cop_open($argv[3], null, FFI::addr($store)) === 0);
assert($lib->cop_read_begin($store, FFI::addr($read)) === 0);
$err = $lib->cop_search($read, FFI::addr($search), $hits, FFI::addr($count));
$lib->cop_read_end($read);
$lib->cop_close($store);
echo $count->cdata . " " . $hits[0]->id . ($err ? " $err" : "") . "\n";
END
if command -v php >/dev/null && php -r 'exit(class_exists("FFI") ? 0 : 1);'
then
	out=$(php -d ffi.enable=1 -d zend.assertions=1 "$work/ffi.php" "$cdef" \
		"$library" "$store" 2>&1)
	is "$out" '1 1' "PHP's FFI reads the header and searches"
else
	skip 'php-cli with FFI is not installed' "PHP's FFI"
fi
done_testing
