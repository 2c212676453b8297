#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_content: bytes of any size in and out by the command.
. "$(dirname "$0")/tap.sh"

# Bytes of which no two pieces are alike, and which compress a little.
bytes_of()
{
	seq 1 "$1" | od -An -tx1 | tr -d '\n' | head -c "$2"
}

exits 0 'init' init "$store"
bytes_of 4000000 20000000 >"$work/large"
bytes_of 100 300 >"$work/small"

exits 0 'a large file goes in' content put "$store" doc "$work/large"
commit=$out
exits 0 'and comes out' content get "$store" doc
cmp -s "$work/out" "$work/large"
ok $? 'as it was'
"$COPPICE" content put "$store" doc <"$work/small" >"$work/out"
exits 0 'standard input goes in, too' content get "$store" doc
cmp -s "$work/out" "$work/small"
ok $? 'and comes out'
exits 0 'as of before' content get "$store" doc --as-of "$commit"
cmp -s "$work/out" "$work/large"
ok $? 'it is the first one'
exits 0 'a part of that' content get "$store" doc --as-of "$commit" \
	--offset 10000000 --bytes 5000
tail -c +10000001 "$work/large" | head -c 5000 | cmp -s - "$work/out"
ok $? 'is that part'
exits 1 'past its end' content get "$store" doc --offset 300
is "$out" '' 'there is nothing'
like "$err" "*'doc' has * bytes, none from byte 300 on" 'which is said'
size=$("$COPPICE" content get "$store" doc | wc -c)
exits 0 'the last byte' content get "$store" doc --offset "$((size - 1))"
exits 1 'what follows it' content get "$store" doc --offset "$size"
exits 1 'content of nobody' content get "$store" nobody
exits 0 'an entity without' put "$store" <<-'END'
	{"key":"bare"}
END
exits 1 'has none' content get "$store" bare
exits 2 'no key' content put "$store"
exits 7 'no such file' content put "$store" doc "$work/nowhere"
like "$err" '*nowhere*' 'is named'
exits 7 'a folder' content put "$store" doc "$work"
exits 2 'no such offset' content get "$store" doc --offset -1
exits 2 'content alone is no verb' content
like "$err" '*coppice content put*' 'the nearest is named'

# ---- lines that are too long

exits 0 'the large one again' content put "$store" doc "$work/large"
exits 0 'get' get "$store" doc
like "$out" '*20000000 bytes*' 'says how much it is'
exits 0 'get --json' get "$store" doc --json
like "$out" '*"content":null,"content_bytes":20000000*' 'does, too'
sed 's/"type":null/"type":"paper"/' <"$work/out" | "$COPPICE" put "$store" \
	>"$work/number"
exits 0 'a line that says so leaves it' content get "$store" doc
cmp -s "$work/out" "$work/large"
ok $? 'as it was'
exits 7 'one that says another size' put "$store" <<-'END'
	{"key":"doc","content_bytes":5}
END
exits 7 'one for another entity' put "$store" <<-'END'
	{"key":"nobody","content_bytes":20000000}
END
like "$err" '*nobody*20000000*' 'is refused by name'
exits 7 'one that says no size' put "$store" <<-'END'
	{"key":"doc","content_bytes":"much"}
END
head -c 5000 /dev/urandom >"$work/noise"
exits 0 'bytes that are no text' content put "$store" noise "$work/noise"
exits 0 'are told by their number' get "$store" noise --json
like "$out" '*"content":null,"content_bytes":5000*' 'and not garbled'
"$COPPICE" put "$store" <"$work/out" >"$work/number"
exits 0 'so that what is read again' content get "$store" noise
cmp -s "$work/out" "$work/noise"
ok $? 'leaves them'
exits 0 'and changes the rest' scan "$store" --type paper
like "$out" '*doc*' 'its type'
exits 0 'compaction' compact "$store"
exits 0 'leaves it' content get "$store" doc
cmp -s "$work/out" "$work/large"
ok $? 'as it was'
exits 0 'the store is whole' check "$store"
done_testing
