#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The manual says all there is: each verb with its options, each function of the
# library, each setting; and its pages are those of their sources.
. "$(dirname "$0")/tap.sh"

build=${COPPICE_BUILD:-build/release}
pages='coppice.1 coppice.3 coppice-settings.7'

if command -v scdoc >/dev/null; then
	make -s man MAN_OUT="$work"
	for page in $pages; do
		cmp -s "$work/$page" "tools/man/$page"
		ok $? "$page is what its source gives" || diag 'run: make man'
	done
else
	skip 'scdoc is not installed' 'the pages are what their sources give'
fi
# What scdoc writes has empty paragraphs, which do no harm.
if command -v mandoc >/dev/null; then
	for page in $pages; do
		out=$(mandoc -T lint -W warning "tools/man/$page" |
			grep -v 'skipping paragraph macro')
		is "$out" '' "mandoc has nothing against $page"
	done
	mandoc -T ascii tools/man/coppice.3 | sed 's/.\x08//g' |
		sed -n '/^EXAMPLE/,/^FILES/ { /^[A-Z]/d; p }' >"$work/example.c"
	cc -std=c11 -Wall -Werror -Icore -fsyntax-only "$work/example.c"
	ok $? "coppice(3)'s example compiles"
else
	skip 'mandoc is not installed' 'mandoc has nothing against the pages'
fi

# section HEADING: of coppice(1), from there to the next heading
section()
{
	awk -v want="$1" '/^#/ { on = $0 == want } on' tools/man/coppice.1.scd
}

# missing <WORDS: those that are not, as a whole, in the file $1
missing()
{
	while read -r word; do
		grep -qE -e "(^|[^a-z0-9_-])$word($|[^a-z0-9_-])" "$1" ||
			printf '%s ' "$word"
	done
}

"$COPPICE" help | sed -n 's/^  \(.\{12\}\).*/\1/p' | sed 's/ *$//' >"$work/verbs"
[ "$(wc -l <"$work/verbs")" -gt 20 ]
ok $? 'the verbs are listed'
while read -r verb; do
	{
		section "## $verb"
		section '# SELECTION'
		section '# OPTIONS'
	} >"$work/section"
	[ "$(section "## $verb" | wc -l)" -gt 3 ]
	ok $? "coppice(1) has $verb"
	# shellcheck disable=SC2086 # a verb may be two words
	"$COPPICE" help $verb | sed -n 's/^  \(-.,\{0,1\}\|  \) *\(--[a-z-]*\)\{0,1\}.*/\1 \2/p' |
		tr -d ',' | tr -s ' ' '\n' | grep . >"$work/options"
	is "$(missing "$work/section" <"$work/options")" '' \
		"and all options of $verb"
done <"$work/verbs"

nm -D --defined-only "$build/libcoppice.so.0" | awk '$2 == "T" {print $3}' |
	sed 's/@.*//' >"$work/functions"
is "$(missing tools/man/coppice.3.scd <"$work/functions")" '' \
	'coppice(3) has all functions'

"$COPPICE" help init | grep -o -e '--[a-z-]*' | grep -vxE \
	-e '--(store|timeout|quiet|verbose|help)' >"$work/settings"
grep -hoE '(getenv|setting_(text|bytes))\("COPPICE_[A-Z_]+' core/*.c tools/*.c \
	tools/php/src/*.php | sed 's/.*"//' >>"$work/settings"
grep -hoE "ENV\['COPPICE_[A-Z_]+" tools/ruby/lib/*/*.rb | sed "s/.*'//" \
	>>"$work/settings"
is "$(missing tools/man/coppice-settings.7.scd <"$work/settings")" '' \
	'coppice-settings(7) has all settings'
done_testing
