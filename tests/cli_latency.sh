#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_latency: the verb `latency`, and the rates of `stat`, while an assistant
# searches and writes.
. "$(dirname "$0")/tap.sh"

# member TIMING NAME: of the JSON that `latency` last printed
member()
{
	printf '%s\n' "$out" | head -n 1 | field "$1" | field "$2"
}

# assert PERL NAME: an expression over the last JSON, $v
assert()
{
	printf '%s\n' "$out" | head -n 1 |
		perl -MJSON::PP -e 'my $v = decode_json(scalar <STDIN>);
			exit !do { '"$1"' }'
	ok $? "$2"
}

exits 0 'init' init "$store" --dim 2
exits 0 'latency of a new store' latency "$store"
like "$out" '*count*mean*p50*p95*p99*p99.9*most*search*walk*commit*wait*hold*sync*group*' \
	'is a table'
exits 0 'as JSON' latency "$store" --json
is "$(member search count)" 0 'nothing was searched yet'
is "$(member search p50_ns)" null 'and there is no median of nothing'

i=0
while [ $i -lt 40 ]; do
	echo "{\"key\":\"k$i\",\"type\":\"t\",\"vector\":[$i,1]}" |
		"$COPPICE" put "$store" >/dev/null
	i=$((i + 1))
done
exits 0 'a search' search "$store" --like k1 -k 3
exits 0 'latency' latency "$store" --json
printf '%s\n' "$out" >"$work/out"
json "$work/out"
ok $? 'is one object'
is "$(field schema <"$work/out")" coppice.latency/1 'with a schema'
is "$(field seconds <"$work/out")" null 'of no span that is known'
is "$(member search count)" 1 'what a process that is gone did is in it'
is "$(member commit count)" 40 'all commits are'
assert '$v->{commit}{p50_ns} <= $v->{commit}{p95_ns} &&
	$v->{commit}{p95_ns} <= $v->{commit}{p99_ns} &&
	$v->{commit}{p99_ns} <= $v->{commit}{p999_ns} &&
	$v->{commit}{p999_ns} <= $v->{commit}{most_ns}' 'quantiles are in order'
assert '$v->{commit}{mean_ns} <= $v->{commit}{most_ns}' \
	'a mean is not above the most'
assert '$v->{hold}{mean_ns} >= $v->{sync}{mean_ns}' \
	'the lock is held while the disk works'
assert '$v->{group}{p50} == 1 && $v->{group}{most} == 1' \
	'a write alone is a group of one'

exits 0 'a histogram' latency "$store" --histogram commit
like "$out" '*
commit
*[num]s *#*' 'is drawn as bars'
is "$(printf '%s\n' "$out" | awk '/^commit$/ { on = 1; next }
	on { gsub(",", "", $2); sum += $2 } END { print sum }')" 40 \
	'whose counts are all there is'
exits 0 'of one that is empty' latency "$store" --histogram walk
like "$out" '*nothing yet*' 'it says so'
exits 0 'a histogram as JSON' latency "$store" --histogram commit --json
assert 'my $n = 0; $n += $_->[2] for @{$v->{commit}{buckets}}; $n == 40' \
	'has all in its buckets'
assert '!grep { $_->[0] >= $_->[1] } @{$v->{commit}{buckets}}' \
	'each from its least to the next'

# ---- a span of time

exits 0 'of a span' latency "$store" --interval 0.2 --json
is "$(member commit count)" 0 'nothing happened in it'
assert '$v->{seconds} >= 0.2' 'it is as long as was said, or longer'
"$COPPICE" latency "$store" --interval 1 --count 2 --json >"$work/span" &
span=$!
n=0
while kill -0 $span 2>/dev/null; do
	echo "{\"key\":\"later$n\"}" | "$COPPICE" put "$store" >/dev/null
	n=$((n + 1))
done
wait $span
ok $? 'two spans while others write'
is "$(wc -l <"$work/span")" 2 'are two lines'
counted=$(perl -MJSON::PP -ne '$n += decode_json($_)->{commit}{count};
	END { print $n }' "$work/span")
[ "$counted" -gt 0 ] && [ "$counted" -le "$n" ]
ok $? 'that have what was written meanwhile and no more'
diag "$counted of $n commits"
exits 0 'as text' latency "$store" --interval 0.1 --count 2
is "$(printf '%s\n' "$out" | grep -c '/s')" 2 'there is a rate in each'

# ---- what is refused

exits 2 'a count without a span' latency "$store" --count 2
exits 2 'a span of nothing' latency "$store" --interval 0
exits 2 'a span that is no number' latency "$store" --interval soon
exits 2 'a count of nothing' latency "$store" --interval 1 --count 0
exits 2 'a histogram of what there is not' latency "$store" --histogram sleep
like "$err" '*search, walk, commit*' 'those there are are named'
exits 3 'no store' latency "$work/none"
exits 2 'an operand too many' latency "$store" more

# ---- stat

"$COPPICE" search "$store" --like k1 -k 3 >/dev/null
exits 0 'get of what is there and of what is not' get "$store" k1 k2
exits 1 'no' get "$store" nobody
exits 0 'stat' stat "$store" --json
assert '$v->{free_bytes} < $v->{data_bytes}' 'free is a part of the file'
assert 'abs($v->{free_share} - $v->{free_bytes} / $v->{data_bytes}) < 1e-9' \
	'its share is what it is'
assert '$v->{name_hit_rate} > 0.9 && $v->{name_hit_rate} < 1' \
	'most names were there'
assert '!defined $v->{cache_hit_rate}' 'without a cache there is no rate'
assert '$v->{zero_copy_share} > 0 && $v->{zero_copy_share} <= 1' \
	'records were read in place'
assert '$v->{bloom_measured} >= 0 && $v->{bloom_measured} <= 1' \
	'a key that is not there was asked for'
assert 'abs($v->{disk_bytes_per_entity} * $v->{entities} - $v->{disk_bytes})
	< 1' 'bytes of an entity are a share of all'
assert '$v->{oldest} == 0' 'all history can be read'
assert 'exists $v->{unlinked}' 'what waits to be linked is told'
exits 0 'as text' stat "$store"
like "$out" '*data file*free in it*history from commit*one entity*on disk*shared*bloom rate*expected*measured*' \
	'says the same'
exits 0 'help' help latency
like "$out" '*--interval*--count*--histogram*' 'knows the options'
done_testing
