#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_import_packed: gzip, zstd and lz4, as they come, broken off and damaged.
. "$(dirname "$0")/tap.sh"

command -v zstd >/dev/null && command -v lz4 >/dev/null ||
	skip_all 'no zstd and lz4 here'
entities()
{
	"$COPPICE" stat "$store" --json | field entities
}

# Lines that do not pack well, in more blocks than are unpacked ahead.
perl -e 'srand 5; print qq({"key":"k$_","p":"), join("", map chr(97 + rand 26), 1 .. 500), qq("}\n) for 1 .. 12000' \
	>"$work/a.ndjson"
printf '{"key":"last"}\n' >"$work/b.ndjson"
for tool in gzip zstd lz4; do
	fresh
	# Of each: two members or frames, the first of many blocks.
	$tool -q -c "$work/a.ndjson" >"$work/one" 2>/dev/null
	$tool -q -c "$work/b.ndjson" >"$work/two" 2>/dev/null
	cat "$work/one" "$work/two" >"$work/packed"
	exits 0 "$tool" import "$store" "$work/packed"
	is "$(entities)" 12001 "$tool: all of two members"
	run get "$store" k12000 --json
	is "$(field properties <"$work/out")" \
		"$(sed -n '12000s/.*"p"/{"p"/p' "$work/a.ndjson")" "$tool: a line"
	fresh
	run import "$store" - <"$work/packed"
	is "$status $(entities)" '0 12001' "$tool on standard input"
	# cut in the middle, in the last member, and in its first bytes
	size=$(wc -c <"$work/packed")
	for less in $((size / 2)) 3 $(($(wc -c <"$work/two") - 8)); do
		head -c $((size - less)) "$work/packed" >"$work/cut"
		fresh
		run import "$store" "$work/cut" --batch 100
		is "$status" 7 "$tool less $less bytes: refused"
		like "$err" "*$work/cut: the $tool data breaks off*" \
			"$tool less $less bytes: says so"
	done
	[ "$(entities)" -ge 11900 ]
	ok $? "$tool: what came before the fault is in"
	(cat "$work/packed" && echo junk that is not packed) >"$work/more"
	run import "$store" "$work/more" -q
	is "$status" 7 "$tool: junk behind the end"
	like "$err" "*damaged $tool data near byte *" "$tool: says where"
	perl -pe 'BEGIN { $/ = undef } substr($_, length($_) / 2, 64) ^= "\xa5" x 64' \
		<"$work/one" >"$work/harmed"
	run import "$store" "$work/harmed" -q
	is "$status" 7 "$tool: damaged"
	# A bad line ends the import while the thread has more to unpack.
	(echo oops && cat "$work/a.ndjson" "$work/a.ndjson") | $tool -q -c \
		>"$work/bad" 2>/dev/null
	fresh
	run import "$store" "$work/bad" --format ndjson
	is "$status" 7 "$tool: a bad line at the begin"
	like "$err" "*$work/bad:1: *" "$tool: is named"
	# A line packed is answered while its sender waits.
	mkfifo "$work/in.$tool" "$work/out.$tool"
	"$COPPICE" put "$store" --each <"$work/in.$tool" >"$work/out.$tool" &
	pid=$!
	exec 4>"$work/in.$tool" 5<"$work/out.$tool"
	cat "$work/two" >&4
	read -r commit <&5
	[ "$commit" -gt 0 ]
	ok $? "$tool: a line is answered at once"
	exec 4>&- 5<&-
	wait "$pid"
	is "$?" 0 "$tool: and the end is the end"
	# SIGTERM while the thread waits for bytes.
	fresh
	mkfifo "$work/slow.$tool"
	"$COPPICE" import "$store" - --batch 1 <"$work/slow.$tool" \
		>"$work/out" 2>"$work/err" &
	pid=$!
	exec 4>"$work/slow.$tool"
	cat "$work/two" >&4
	i=0
	until [ "$(entities)" = 1 ] || [ $i -gt 200 ]; do
		i=$((i + 1))
		sleep 0.05
	done
	kill -TERM "$pid"
	wait "$pid"
	is "$?" 143 "$tool: SIGTERM ends it while it waits"
	exec 4>&-
done
fresh
head -c 300000000 /dev/zero | gzip -c >"$work/bomb"
run import "$store" "$work/bomb" --format ndjson
is "$status" 7 'zeros without an end of a line'
like "$err" '*longer than 128 MiB*' 'are refused after 128 MiB'
(zstd -q -c </dev/null && zstd -q -c <"$work/b.ndjson") >"$work/empty"
exits 0 'an empty frame' import "$store" "$work/empty"
is "$(entities)" 1 'and one behind it'

# ---- others

for tool in bzip2 xz; do
	command -v $tool >/dev/null || continue
	$tool -c "$work/b.ndjson" >"$work/packed"
	exits 7 "$tool is refused" import "$store" "$work/packed"
	like "$err" "*$work/packed: *Try: $tool -dc FILE*" 'with the command for it'
done
printf '\002\041\114\030abcdef' >"$work/packed"
exits 7 'lz4 of old' import "$store" "$work/packed"
like "$err" '*Try: lz4 -dc*' 'with the command for it'
printf 'PK\003\004abcdefgh' >"$work/packed"
exits 7 'zip' import "$store" "$work/packed"
like "$err" '*Try: unzip -p*' 'with the command for it'
perl -e 'print "\xff\xfe", map "$_\0", split //, qq({"key":"x"}\n)' >"$work/u16"
perl -e 'print "\xfe\xff", map "\0$_", split //, qq({"key":"x"}\n)' >"$work/u16b"
for file in u16 u16b; do
	for format in '' '--format=ndjson' '--format=csv' '--format=json'; do
		# shellcheck disable=SC2086
		exits 7 "$file $format" import "$store" "$work/$file" $format
		like "$err" '*UTF-16*Try: iconv*' 'with the command for it'
	done
done
for mark in '\377\377' '\376\376'; do # of UTF-16 nearly
	printf "${mark}a b\n" >"$work/nearly"
	exits 7 'bytes that begin nothing' import "$store" "$work/nearly"
	like "$err" '*format is not known*' 'are of no format that is known'
done
done_testing
