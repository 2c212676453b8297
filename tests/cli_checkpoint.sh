#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_checkpoint: images of the shared memory, as the command takes and loads
# them.
. "$(dirname "$0")/tap.sh"

images()
{
	(cd "$store/gen-000001" && ls | grep '^image' | tr '\n' ' ')
}

exits 3 'checkpoint no store' checkpoint "$work/none"
exits 0 'init' init "$store" --dim 4
awk 'BEGIN { for (i = 0; i < 11000; i++)
	printf "{\"key\":\"k%d\",\"type\":\"T\",\"vector\":[%d,%d,1,%d]}\n",
		i, i % 97, i % 89, i % 7 }' >"$work/in"
awk 'BEGIN { for (i = 1; i < 11000; i++)
	printf "{\"source\":\"k%d\",\"type\":\"half\",\"target\":\"k%d\"}\n",
		i, i / 2 }' >>"$work/in"

COPPICE_CHECKPOINT=0 "$COPPICE" put "$store" -q <"$work/in" >"$work/out"
is "$?" 0 'put 11,000 entities'
is "$(images)" '' 'with COPPICE_CHECKPOINT=0 no image is written'
exits 0 'a search' search "$store" --like k77 -k 5
found=$out
like "$(images)" 'image-* ' 'the last process to close it writes one'
exits 0 'stat' stat "$store" --json
commit=$(field image_commit <"$work/out")
is "image-$commit " "$(images)" 'stat names its commit'
exits 0 'stat for people' stat "$store"
like "$out" '*image of commit*' 'says so, too'

exits 0 'a small commit' delete "$store" k10999
is "image-$commit " "$(images)" 'a small change is not worth an image'
exits 0 'checkpoint' checkpoint "$store"
like "$out" "image of commit $((commit + 1)): *" 'it says what it wrote'
is "$(images)" "image-$commit image-$((commit + 1)) " 'now there are two'
exits 0 'checkpoint --json' checkpoint "$store" --json
json "$work/out"
ok $? 'prints a JSON object'
is "$(field commit <"$work/out")" "$((commit + 1))" 'with the commit'

exits 0 'another commit' delete "$store" k10998
exits 0 'detach' detach "$store"
exits 0 'the next process loads the image' search "$store" --like k77 -k 5
is "$out" "$found" 'and finds the same'
exits 0 'check' check "$store"
is "$out" '' 'nothing is found'
exits 1 'what was deleted since the image' get "$store" k10998
exits 1 'and before it' get "$store" k10999

for image in "$store"/gen-000001/image-*; do
	printf damaged | dd of="$image" bs=1 seek=1000 conv=notrunc 2>/dev/null
done
exits 0 'detach again' detach "$store"
exits 0 'with both images damaged' search "$store" --like k77 -k 5
is "$out" "$found" 'the data file is used'
exits 0 'check again' check "$store"
exits 0 'checkpoint again' checkpoint "$store"
exits 0 'detach at last' detach "$store"
done_testing
