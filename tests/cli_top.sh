#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_top: the verb `top`, printed once, and in a terminal that tmux makes,
# while assistants search and write.
. "$(dirname "$0")/tap.sh"

# ---- a load: assistants that are asked over and over

workers=
feeders=

# worker NUMBER: $pid is its process
worker()
{
	mkfifo "$work/ask$1"
	"$COPPICE" mcp "$store" <"$work/ask$1" >/dev/null 2>&1 &
	pid=$!
	feed "$1" >"$work/ask$1" 2>/dev/null &
	workers="$workers $pid"
	feeders="$feeders $!"
}

ask()
{
	printf '{"jsonrpc":"2.0","id":1,"method":"%s","params":%s}\n' "$1" "$2"
}

feed()
{
	ask initialize '{"protocolVersion":"2025-06-18","capabilities":{},
		"clientInfo":{"name":"test","version":"1"}}' | tr -d '\n\t'
	echo
	feed_n=0
	while feed_n=$((feed_n + 1)); do
		ask tools/call '{"name":"search","arguments":{"like":"k1"}}'
		[ $((feed_n % 4)) = 0 ] &&
			ask tools/call '{"name":"remember","arguments":{"entities":[{"key":"w'"$1-$feed_n"'"}]}}'
		sleep 0.01
	done
}

load_end()
{
	load_status=$?
	# shellcheck disable=SC2086
	[ -z "$workers" ] || kill $feeders $workers 2>/dev/null
	[ -z "$terminal" ] || tm kill-server 2>/dev/null
	wait
	(exit $load_status)
	tap_end
}
terminal=
trap load_end EXIT

# assert PERL NAME: an expression over the last JSON, $v
assert()
{
	printf '%s\n' "$out" |
		perl -MJSON::PP -e 'my $v = decode_json(scalar <STDIN>);
			exit !do { '"$1"' }'
	ok $? "$2" || diag "$out"
}

exits 0 'init' init "$store" --dim 2
i=0
while [ $i -lt 20 ]; do
	echo "{\"key\":\"k$i\",\"type\":\"t\",\"vector\":[$i,1]}"
	i=$((i + 1))
done >"$work/in"
run put "$store" <"$work/in"
is "$status" 0 'put'

# ---- once

exits 0 'nobody is there' top "$store" --once --interval 0.1
like "$out" '*0 processes*no other process is attached' 'it says so'
worker 1
one=$pid
worker 2
two=$pid
worker 3
three=$pid
sleep 1
exits 0 'three are' top "$store" --once --interval 1
like "$out" '*3 processes*searches *p50*p99*walks*gets*commits*p50*p99*writes*cache hits*bloom false*unlinked*shared*disk*open reads*pid*search/s*write/s*name*' \
	'it says so, and what the store does'
for pid in $one $two $three; do
	like "$out" "* $pid *coppice mcp*" 'a process is listed'
done
exits 0 'as JSON, which is once, too' top "$store" --json --interval 1
printf '%s\n' "$out" >"$work/out"
json "$work/out"
ok $? 'is one object'
is "$(field schema <"$work/out")" coppice.top/1 'with a schema'
assert '$v->{searches_per_s} > 3 && $v->{writes_per_s} > 0' \
	'it is told what is done'
assert '@{$v->{processes}} == 3 &&
	!grep { $_->{searches_per_s} <= 0 } @{$v->{processes}}' \
	'and by whom: this very process is not among them'
assert 'my $n = 0; $n += $_->{searches_per_s} for @{$v->{processes}};
	abs($n - $v->{searches_per_s}) < 0.3 * $n' 'together they do all of it'
assert '!grep { $_->{search_p99_ns} < $_->{search_p50_ns} } @{$v->{processes}}' \
	'quantiles are in order'
assert '$v->{search_p99_ns} >= $v->{search_p50_ns} && $v->{commit_p50_ns} > 0' \
	'those of all, too'
assert '!grep { $_->{private_bytes} < 4096 } @{$v->{processes}}' \
	'each has some memory of its own'
assert '!grep { $_->{foreign} } @{$v->{processes}}' 'none is foreign'
exits 2 'without a terminal and --once' top "$store"
like "$err" '*no terminal*--once*' 'it says what to do'
exits 2 'an interval of nothing' top "$store" --once --interval 0
exits 3 'no store' top "$work/none" --once
exits 2 'an operand too many' top "$store" more --once

# A scan that is kept waiting on a pipe has a read open.
i=0
while [ $i -lt 3000 ]; do
	echo "{\"key\":\"fill$i\",\"content\":\"some text to fill the pipe\"}"
	i=$((i + 1))
done >"$work/in"
run put "$store" <"$work/in"
mkfifo "$work/pipe"
"$COPPICE" scan "$store" --json >"$work/pipe" 2>/dev/null &
scan=$!
workers="$workers $scan"
exec 3<"$work/pipe"
head -c 1 <&3 >/dev/null
sleep 0.5
exits 0 'a read is open' top "$store" --json --interval 0.2
assert '$v->{open_reads} >= 1 && $v->{oldest_pid} == '"$scan"' &&
	$v->{oldest_name} eq "coppice scan" && $v->{oldest_behind} > 0' \
	'whose is the oldest is told'
assert 'my ($p) = grep { $_->{pid} == '"$scan"' } @{$v->{processes}};
	$p->{open_reads} == 1 && $p->{behind} > 0 &&
	!defined $p->{search_p50_ns}' 'it is pinned, behind, and does not search'
COPPICE_STALL_SECONDS=0 run top "$store" --once --interval 0.2
like "$out" "*stalled by $scan coppice scan*" 'and that it is stalled'
exits 0 'help' help top
like "$out" '*--interval*--once*' 'knows the options'

# ---- in a terminal

command -v tmux >/dev/null || {
	skip 'tmux is not installed' 'in a terminal'
	done_testing
}

tm()
{
	tmux -S "$work/tmux" "$@"
}

keys()
{
	tm send-keys "$@"
}

shows()
{
	tm capture-pane -p
}

# sees PATTERN NAME: the window comes to look so
sees()
{
	tap_tries=0
	while [ $tap_tries -lt 200 ]; do
		tap_shown=$(shows)
		# shellcheck disable=SC2254
		case $tap_shown in
		$1) break ;;
		esac
		tap_tries=$((tap_tries + 1))
		sleep 0.05
	done
	like "$tap_shown" "$1" "$2"
}

# comes VALUE COMMAND... : 0 once the command prints the value
comes()
{
	tap_wanted=$1
	shift
	tap_tries=0
	until [ "$("$@")" = "$tap_wanted" ] || [ $tap_tries -gt 200 ]; do
		tap_tries=$((tap_tries + 1))
		sleep 0.05
	done
	is "$("$@")" "$tap_wanted" "$tap_name"
}

alternate()
{
	tm display-message -p '#{alternate_on}#{cursor_flag}'
}

# order: whether the pids that are shown go up (1), down (-1) or neither
order()
{
	shows | awk '/ coppice mcp/ { n++; if (last) {
		up += $1 > last; down += $1 < last } last = $1 }
		END { print n < 3 ? "few" : !down ? 1 : !up ? -1 : 0 }'
}

# restored STATUS NAME: top ends, and the terminal is as it was
restored()
{
	tap_name="$2: the alternate screen is left, the cursor is back"
	comes 01 alternate
	keys "echo status \$? \$(stty -g | cmp -s - $work/before && echo same)" \
		Enter
	sees "*status $1 same*" \
		"$2: it ended with status $1, the terminal's settings are as before"
	clean
}

# A prompt and nothing else.
clean()
{
	keys clear Enter
	sees '>' 'the shell can go on'
}

# The pid of the one that runs in the window.
top_pid()
{
	"$COPPICE" top "$store" --json --interval 0.05 |
		perl -MJSON::PP -e 'my $v = decode_json(scalar <STDIN>);
			print map { $_->{name} eq "coppice top" ? $_->{pid} : () }
				@{$v->{processes}}'
}

# watch: begins to
watch()
{
	keys "$COPPICE top '$path' --interval 0.2" Enter
	sees '*processes*pid*coppice mcp*' 'top is shown'
}

path=$store
terminal=1
env -i PATH="$PATH" LC_ALL=C.UTF-8 TERM=screen HOME="$work" \
	ASAN_OPTIONS="$ASAN_OPTIONS" tmux -u -f /dev/null -S "$work/tmux" \
	new-session -d -x 100 -y 24 sh
tm set-option -g status off
tm resize-window -x 100 -y 24
keys "PS1='> '; stty -g >$work/before; clear" Enter
sees '>' 'a shell in a terminal'
watch
tap_name='the alternate screen is on, without a cursor'
comes 10 alternate
for pid in $one $two $three; do
	sees "* $pid *coppice mcp*" 'a process is shown'
done
sees '*oldest behind*by * coppice scan*' 'and whose read is the oldest'

keys p
tap_name='the key p sorts by pid'
comes 1 order
keys p
tap_name='and again the other way'
comes -1 order
keys n
sees '*coppice mcp*coppice scan*' 'n sorts by name'
keys n
sees '*coppice scan*coppice mcp*' 'and again the other way'
keys h
sees '*q quit*h back*search/s*' 'h shows the keys'
keys h
sees '*processes*pid*coppice mcp*' 'and goes back'

worker 4
four=$pid
sees "*5 processes*$four *coppice mcp*" 'a new process appears'
kill -KILL "$four"
wait "$four" 2>/dev/null
sees '*4 processes*' 'a killed one is counted no more'
tap_shown=$(shows)
case $tap_shown in
*" $four "*) ok 1 'nor shown' ;;
*) ok 0 'nor shown' ;;
esac

"$COPPICE" compact "$store" >/dev/null 2>&1
ok $? 'the store is compacted meanwhile'
sees "*4 processes*$one *coppice mcp*" 'and top goes on'

tm resize-window -x 40 -y 8
sees 'coppice  4 processes*
searches*pid search/s*name*
*2 more: j, k' 'in a small window there is what fits'
is "$(shows | wc -l)" 8 'as many lines as there are'
shows | grep -q 'write/s'
is $? 1 'and columns are left out'
keys j
sees '*name*coppice mcp*coppice mcp*coppice mcp' 'j goes down'
keys k
sees '*name*coppice scan*coppice mcp*2 more: j, k' 'k goes up'
tm resize-window -x 1 -y 1
sleep 0.3
tm resize-window -x 160 -y 40
sees '*searches *
commits *
cache hits *
shared *
open reads *
*pid*read/s*open*private*name*coppice mcp*' \
	'in a wide one there is all, even after one with a single character'
tm resize-window -x 100 -y 24
sees '*processes*pid*coppice mcp*' 'a window as before'
keys q
restored 0 'by q'

for signal in INT:130 TERM:143 HUP:129 QUIT:131 BUS:135 ABRT:134; do
	watch
	kill -"${signal%:*}" "$(top_pid)"
	restored "${signal#*:}" "by SIG${signal%:*}"
done
watch
keys C-c
restored 130 'by control C'

watch
keys C-z
sees '*Stopped*' 'control Z stops it'
tap_name='the shell has its screen'
comes 01 alternate
keys fg Enter
sees '*processes*pid*coppice mcp*' 'fg brings it back'
tap_name='and its screen'
comes 10 alternate
keys q
restored 0 'by q after a stop'

# ---- colours and characters

tm set-option -g history-limit 0
watch
escape=$(printf '\033')
tm capture-pane -p -e | grep -q "$escape\["
ok $? 'there are styles'
keys q
restored 0 'by q'
keys 'export NO_COLOR=1' Enter
clean
watch
tm capture-pane -p -e | grep -q "$escape\["
is $? 1 'there are none'
keys q
restored 0 'by q without colours'

path=$work/木木木木木木木木木木木木木木木木木木木木木木木木木木木木木木木木木木木木木木
ln -s "$store" "$path"
# Whether the first line ends at the window's edge, or a column before: 1.
line_fits()
{
	line=$(shows | head -n 1)
	wide=$(printf '%s' "$line" | sed 's/[ -~]//g' | wc -m)
	narrow=$(printf '%s' "$line" | sed 's/[^ -~]//g' | wc -m)
	echo $((columns - 2 * wide - narrow >= 0 &&
		columns - 2 * wide - narrow <= 1))
}
for columns in 80 81; do
	tm resize-window -x $columns -y 24
	watch
	tap_name="no wide character is cut in two by the edge, column $columns"
	comes 1 line_fits
	keys q
	restored 0 'by q'
done

# ---- the terminal goes

tm new-window sh
watch
tm kill-window
tap_name='with its terminal it ends'
comes '' top_pid

# ---- the store breaks

path=$store
segment=$("$COPPICE" stat "$store" --json | field segment)
tm resize-window -x 100 -y 24
watch
for file in "$segment"/*; do
	[ -L "$file" ] || : >"$file"
done
restored 135 'by the segment, cut off under it'
done_testing
