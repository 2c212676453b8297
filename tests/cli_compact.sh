#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_compact: what compact says it would do, does, and leaves alone.
. "$(dirname "$0")/tap.sh"

exits 0 'init' init "$store" --dim 4 --history all
for round in 1 2 3 4; do
	seq 2000 | sed "s/.*/{\"key\":\"k&\",\"properties\":{\"round\":$round},\"vector\":[&,$round,0,1]}/" |
		"$COPPICE" put "$store" >"$work/out"
done
exits 0 'maintain' maintain "$store"

# ---- a dry run

exits 0 'a dry run' compact "$store" --dry-run
like "$out" 'disk *free pages*, 0 versions
shared *dead rows*' 'says what would be freed'
exits 0 'a dry run that would keep no history' compact "$store" --dry-run \
	--keep-history none --json
versions=$(printf '%s' "$out" | field versions)
like "$out" '*"compacted":false*"bytes_after":*' 'says that it did nothing'
is "$((versions >= 12000))" 1 'counts versions of entities and vectors'
exits 0 'as it was' get "$store" k7 --as-of 1
ls "$store" >"$work/folders"
is "$(grep -c gen- "$work/folders")" 1 'and nothing is built'

# ---- by itself

exits 0 'auto, of a small store' compact "$store" --auto
like "$out" '*not compacted: only * would be freed' 'says why not'
exits 0 'auto, with thresholds' compact "$store" --auto --least 0 \
	--disk-share 100 --shared-share 100
like "$out" '*not compacted: only * of the data file*' 'says what is below them'
exits 0 'what auto would do' compact "$store" --auto --dry-run --least 0 \
	--versions 1000 --disk-share 100 --shared-share 100 --keep-history none
like "$out" '*it is time to compact: * versions are to go' 'says that it is due'
exits 0 'auto --json' compact "$store" --auto --json
like "$out" '*"compacted":false,"due":false,"why":"only*' 'has the reason'
exits 0 'auto, due' compact "$store" --auto --least 0 --disk-share 0 --json
like "$out" '*"compacted":true,"why":"*' 'compacts'
exits 0 'history is kept as the store says' get "$store" k7 --as-of 1
exits 2 'thresholds alone' compact "$store" --least 1M
exits 2 'no size' compact "$store" --auto --least much
exits 2 'no share' compact "$store" --auto --disk-share 101

# ---- less history, once

exits 2 'no time' compact "$store" --keep-history soon
exits 0 'an hour is kept' compact "$store" --keep-history 1h --json
is "$(printf '%s' "$out" | field versions)" 0 'nothing is that old'
exits 0 'none is kept' compact "$store" --keep-history none --json
is "$(printf '%s' "$out" | field versions)" "$versions" \
	'what the dry run said is gone'
exits 2 'the past is too old' get "$store" k7 --as-of 1
exits 0 'retain' retain "$store"
like "$out" 'store *all' 'the store keeps what it kept'
exits 0 'text' compact "$store"
like "$out" 'disk *now
shared *now
gone *0 versions, 0 names
commits waited *' 'says what became of disk and memory'
exits 0 'quiet' compact "$store" --quiet
is "$out" '' 'says nothing'
exits 0 'check' check "$store"
done_testing
