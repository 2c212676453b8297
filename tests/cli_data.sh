#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_data: real graphs and vectors through the command, counted.
. "$(dirname "$0")/tap.sh"

[ $has_data = 1 ] || skip_all "no real data in $data (COPPICE_TEST_DATA)"
for file in oewn/oewn2022_nodes.jsonl.gz misp/misp_edges.csv.gz \
	sift10k/base.fvecs; do
	[ -r "$data/$file" ] || skip_all "$data/$file is missing"
done

figure()
{
	"$COPPICE" stat "$store" --json | field "$1"
}

# ---- Open English WordNet: types, tags, text, edges, vectors

exits 0 'a store for WordNet' init "$store" --dim 128 --expect 120000
exits 0 'its entities and edges' import "$store" \
	"$data/oewn/oewn2022_nodes.jsonl.gz" \
	"$data/oewn/oewn2022_edges.csv.gz" --json
is "$(field entities_put <"$work/out") $(field edges_put <"$work/out")" \
	'120068 160238' '120,068 entities, 160,238 edges'
exits 0 'its vectors by --ids' import "$store" \
	"$data/oewn/oewn2022_lsa128_f16.npy" \
	--ids "$data/oewn/oewn2022_lsa128_ids.txt" --json
is "$(field vectors_put <"$work/out")" 120066 '120,066 vectors'
is "$(figure entities) $(figure edges) $(figure vectors)" \
	'120068 160238 120066' 'the store counts the same'
"$COPPICE" scan "$store" --edges | perl -MJSON::PP -ne '
	next unless /^\{"source"/;
	$seen{decode_json($_)->{relation}} = 1;
	END { print scalar keys %seen }' >"$work/relations"
is "$(cat "$work/relations")" 13 'the edges are of 13 types'
exits 0 'an entity' get "$store" oewn-00001740-a --json
is "$(field type <"$work/out")" Adjective 'its type'
is "$(field tags <"$work/out")" '["adj.all"]' 'its tags'
like "$out" '*"name":"able","lemmas":\["able"\],*"ili":"i1"*' 'its properties'
exits 0 'a walk' walk "$store" oewn-00001740-a --hops 2 --relation attribute
like "$out" 'oewn-00001740-a	able
  attribute -> oewn-0*' 'over one relation'
exits 0 'what is like it' search "$store" --like oewn-00001740-a -k 5 --json
is "$(wc -l <"$work/out")" 5 'five hits'
exits 0 'among nouns' search "$store" --like oewn-00001740-a -k 5 --json --type Noun
is "$(grep -c '"type":"Noun"' "$work/out")" 5 'are all nouns'
exits 0 'with a tag' search "$store" --like oewn-00001740-a -k 1 --tag adj.all
exits 0 'detach' detach "$store"
exits 0 'the segment built anew' search "$store" --like oewn-00001740-a -k 5 --json
is "$(figure vectors)" 120066 'has all vectors'
"$COPPICE" detach "$store"
rm -rf "$store"

# ---- MISP: dangling edges, tags, every script of the world

store=$work/misp
exits 0 'a store for MISP' init "$store"
exits 0 'its entities' import "$store" "$data/misp/misp_entities.jsonl.gz" --json
is "$(field entities_put <"$work/out")" 44992 '44,992 entities'
exits 7 'its edges are refused' import "$store" "$data/misp/misp_edges.csv.gz" --atomic
like "$err" "coppice: *misp_edges.csv.gz:[0-9]*: *nothing was imported" \
	'the line of one that dangles is named'
is "$(figure edges)" 0 'nothing was imported'
exits 0 'with --dangling skip' import "$store" "$data/misp/misp_edges.csv.gz" \
	--dangling skip --json
is "$(field edges_skipped <"$work/out")" 2227 '2,227 dangle'
is "$(field edges_put <"$work/out")" 52946 'the others are in'
skipped=$(figure edges)
exits 7 'with --dangling stub' import "$store" "$data/misp/misp_edges.csv.gz" \
	--dangling stub
like "$err" '*misp_edges.csv.gz:3062: *' 'a target without a name cannot be one'
exits 0 'with --skip-bad too' import "$store" "$data/misp/misp_edges.csv.gz" \
	--dangling stub --skip-bad --json
is "$(field bad <"$work/out")" 2 'two such edges are left out'
[ "$(figure edges)" -gt "$skipped" ]
ok $? 'all are in'
[ "$(figure entities)" -gt 44992 ]
ok $? 'and stubs for their ends'
exits 0 'text in Chinese' get "$store" 231a81cd-4e24-590b-b084-1a4715b30d67 --json
like "$out" '*"摩诃草 - APT-C-09"*' 'comes back'
"$COPPICE" detach "$store"

# ---- SIFT: vectors alone

store=$work/sift
exits 0 'a store for SIFT' init "$store" --dim 128 --metric l2
exits 0 '.fvecs' import "$store" "$data/sift10k/base.fvecs" --json
is "$(field vectors_put <"$work/out")" 9000 '9,000 vectors'
is "$(figure entities)" 9000 'and entities'
exits 0 '1,000 queries' search "$store" --queries "$data/sift10k/query.fvecs" \
	-k 10 --strategy scan --threads 2
is "$(wc -l <"$work/out")" 10000 'ten hits each'
perl -e 'local $/; open my $f, "<:raw", $ARGV[0] or die; my $d = <$f>;
	for my $q (0 .. 999) {
		my ($n, @id) = unpack "L<L<10", substr $d, $q * 44, 44;
		print "$q\t", $_ + 1, "\t$id[$_]\n" for 0 .. 9;
	}' "$data/sift10k/gt_l2_top10.ivecs" >"$work/truth"
cut -f 1-3 "$work/out" >"$work/got"
is "$(sort "$work/got" "$work/truth" | uniq -d | wc -l)" 10000 \
	'the exact neighbours in their order'
done_testing
