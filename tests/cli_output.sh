#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_output: what the command writes, and to where.  A wrong word costs nobody
# a file, and what could not be written is told.
. "$(dirname "$0")/tap.sh"

exits 0 'a store' init "$store" --dim 3
printf '%s\n' '{"key":"a","type":"T","vector":[1,2,3],"content":"text"}' \
	'{"key":"b","vector":[3,2,1]}' '{"key":"d"}' \
	'{"source":"a","relation":"r","target":"b"}' >"$work/in"
exits 0 'something in it' import "$store" "$work/in" --format ndjson -q
exits 0 'another one' init "$work/other"

# It is in use meanwhile: by one who reads, and one who writes.
mkfifo "$work/hold"
"$COPPICE" watch "$store" >"$work/watched" &
reader=$!
"$COPPICE" put "$store" --each <"$work/hold" >"$work/written" &
writer=$!
exec 4>"$work/hold"

# ---- files: a table of the verbs that write one

# writes FILE [OPTION...]: each of them, onto that file
writes_metrics()
{
	"$COPPICE" metrics "$store" -o "$@"
}
writes_backup()
{
	"$COPPICE" backup "$store" --force -q "$@"
}

# all_say STATUS PATTERN NAME FILE: what each of them does with it
all_say()
{
	for writer_name in metrics backup; do
		"writes_$writer_name" "$4" >/dev/null 2>"$work/err"
		is "$?" "$1" "$writer_name: $3"
		like "$(cat "$work/err")" "$2" 'in words'
	done
}
files_of()
{
	(cd "$1" && find . -type f ! -name lock.mdb -exec cksum {} + | sort)
}

before=$(files_of "$work/other")
generation=$(ls -d "$work"/other/gen-*)
all_say 2 '*CURRENT lies in *other, a store,*elsewhere' \
	'not onto the file that names the data' "$work/other/CURRENT"
all_say 2 '*a generation of a store*' 'not onto the data' \
	"$generation/data.mdb"
all_say 2 '*a store*' 'nor beside them' "$work/other/new"
all_say 2 '*a store*' 'nor by way of ..' "$generation/../new"
ln -s other "$work/to-folder"
ln -s other/CURRENT "$work/to-file"
all_say 2 '*a store*' 'nor through a link to the folder' "$work/to-folder/new"
all_say 2 '*a store*' 'nor through a link to the file' "$work/to-file"
mkdir "$work/other/deep"
all_say 2 '*a store*' 'nor in a folder within' "$work/other/deep/new"
rmdir "$work/other/deep"
for folder in /dev/shm/coppice-*; do
	[ "$(readlink "$folder/store")" != "$store" ] || shared=$folder
done
all_say 2 '*the shared memory of a store*' 'not onto shared memory' \
	"$shared/control"
exits 2 'a store is not restored into one' restore "$work/none" \
	"$work/other/inner"
like "$err" '*a store*elsewhere*' 'in words'
exits 2 'nor made in one' init "$work/other/inner"
exits 2 'nor has it a socket' serve "$store" --unix "$work/other/socket"
is "$(files_of "$work/other")" "$before" 'the store is as it was'

echo mine >"$work/mine"
all_say 2 '*mine is there and is not *' 'not onto a file of another kind' \
	"$work/mine"
mkdir "$work/folder"
all_say 2 '*is a folder*' 'a folder is no file' "$work/folder"
all_say 2 '*is a folder*' 'nor is one that is to come' "$work/folder/new/"
all_say 2 '*empty*' 'nor is nothing' ''
all_say 2 '*there is no folder*' 'a folder that is not there' "$work/none/file"
ln -s nowhere "$work/dangling"
all_say 2 '*dangling is a link to nowhere*' 'a link to nothing' \
	"$work/dangling"
cp "$work/mine" "$work/new.partial"
all_say 2 '*new.partial is there and is not *' \
	'what another keeps beside it is not taken' "$work/new"
is "$(cat "$work/mine" "$work/new.partial")" 'mine
mine' 'they are as they were'
perl -MSocket -e 'socket my $s, PF_UNIX, SOCK_STREAM, 0;
	bind $s, sockaddr_un $ARGV[0] or die' "$work/socket"
all_say 2 '*is a socket*' 'a socket is not opened' "$work/socket"
all_say 0 '' 'a device is written through' /dev/null
[ -c /dev/null ] && [ -c /dev/full ]
ok $? 'and stays'
all_say 6 '*/dev/full: *' 'a device that is full' /dev/full
mkfifo "$work/fifo"
for writer_name in metrics backup; do
	cat "$work/fifo" >"$work/$writer_name" &
	"writes_$writer_name" "$work/fifo"
	is $? 0 "$writer_name: a named pipe is written through"
	wait $!
	[ -p "$work/fifo" ] && [ -s "$work/$writer_name" ]
	ok $? 'and stays'
	: >"$work/real.$writer_name"
	ln -s "real.$writer_name" "$work/link.$writer_name"
	"writes_$writer_name" "$work/link.$writer_name" &&
		"writes_$writer_name" "$work/link.$writer_name"
	is $? 0 "$writer_name: an empty file is replaced, and one of its kind"
	[ -L "$work/link.$writer_name" ] && [ -s "$work/real.$writer_name" ]
	ok $? 'where a link leads, not the link'
done
exits 0 'the backup is one' verify "$work/real.backup"
is "$(head -c 14 "$work/real.metrics")" '# HELP coppice' 'so are the metrics'
is "$(stat -c %a "$work/real.metrics" "$work/real.backup" | tr '\n' ' ')" \
	'644 600 ' 'others may read metrics, no backup'
exits 2 'no backup without --force' backup "$store" "$work/real.backup"
exits 2 'not onto metrics with it' backup "$store" "$work/real.metrics" --force
exits 2 'nor metrics onto a backup' metrics "$store" -o "$work/real.backup"
exits 2 'a folder is no backup' verify "$work"
like "$err" '*is a folder*' 'in words'
exits 2 'nor restored' restore "$work/other" "$work/restored"
TMPDIR=$work/none exits 2 'a TMPDIR that is not there' verify --deep \
	"$work/real.backup"
like "$err" "*$work/none*TMPDIR*" 'says where, and what to set'
is "$(find "$work" -name '*.partial')" "$work/new.partial" 'nothing is left'

# ---- standard output: a table of all verbs

# A line a verb: what has it print something, or - if it prints nothing.
cat >"$work/verbs" <<'END'
init -
import --json
put
get a
delete d
search --like b
walk a
path a b
neighbors a
scan
count
content put a
content get a
tag a --tag t
untag a --tag t
history a
diff 1
log
undelete d
retain
mcp
stat
top --once
latency
readers
locks
slow
trace
watch --since 0 --no-wait
metrics
serve -
ping
check --json
doctor --all
config
maintain
compact
rebuild
checkpoint
attach
detach -
backup -
export
verify
restore
upgrade
END
"$COPPICE" help | sed -n 's/^  \(.\{12\}\).*/\1/p' | sed 's/ *$//' >"$work/names"
unknown=
while read -r name; do
	grep -q "^$name\( \|\$\)" "$work/verbs" || unknown="$unknown $name"
done <"$work/names"
is "$unknown" '' 'every verb is in the table'
is "$(wc -l <"$work/verbs")" "$(wc -l <"$work/names")" 'and no other'

# verb_run LINE: runs the verb of a line of the table
verb_run()
{
	case $1 in
	'backup -') set -- backup "$store" - ;;
	*' -') return 0 ;;
	'content '*)
		set -- ${1#content }
		verb=$1
		shift
		set -- content "$verb" "$store" "$@"
		;;
	import*) set -- import "$store" "$work/stdin" --format ndjson --json ;;
	verify) set -- verify "$work/real.backup" ;;
	restore) set -- restore "$work/real.backup" "$work/restored" ;;
	upgrade) set -- upgrade "$work/other" ;;
	*)
		# shellcheck disable=SC2086 # words of a table
		set -- $1
		verb=$1
		shift
		set -- "$verb" "$store" "$@"
		;;
	esac
	"$COPPICE" "$@" <"$work/stdin"
}

# What put, content put and mcp take alike.
echo '{"jsonrpc":"2.0","id":1,"method":"ping","key":"c"}' >"$work/stdin"

# each_says STATUS PATTERN: verbs of the table that do otherwise, with what
# standard output is from $output
each_says()
{
	while read -r line; do
		case $line in
		*' -') [ "$line" = 'backup -' ] || continue ;;
		esac
		rm -rf "$work/restored"
		case $output in
		closed) verb_run "$line" >&- 2>"$work/err" ;;
		full) verb_run "$line" >/dev/full 2>"$work/err" ;;
		esac
		status=$?
		[ ! -e "$work/restored" ] || "$COPPICE" detach "$work/restored"
		case $status,$line,$(cat "$work/err") in
		1,slow,* | 1,readers,*) ;; # perhaps there is none
		$1,*,*$2*) ;;
		*) echo "$line: $status: $(cat "$work/err")" ;;
		esac
	done <"$work/verbs"
}
output=closed
is "$(each_says 2 'output is closed')" '' \
	'each says so where standard output is closed'
output=full
is "$(each_says 6 'No space left')" '' 'each says so where it is full'
for word in help --version 'help scan' 'scan --help' 'complete s'; do
	# shellcheck disable=SC2086 # words
	"$COPPICE" $word >&- 2>"$work/err"
	is "$?" 2 "coppice $word, too"
done
for words in "metrics $store -o" "backup $store"; do
	for name in /dev/stdout /dev/fd/1; do
		# shellcheck disable=SC2086 # words
		"$COPPICE" $words $name >&- 2>"$work/err"
		is "$?" 2 "coppice $words $name, too"
		like "$(cat "$work/err")" '*output is closed*' 'in words'
	done
done
"$COPPICE" metrics "$store" -o /dev/null >&-
is "$?" 0 'another device is not meant'
"$COPPICE" import "$store" /dev/stdin --format ndjson <&- >"$work/out" 2>&1
is "$?" 0 'standard input that is closed has nothing under its name, either'
"$COPPICE" scan "$store" 0<&- 1>"$work/out" 2>&-
is $? 0 'others may be closed'
is "$(wc -l <"$work/out")" 4 'and what there is, is printed'
for words in "put $store" "content put $store a" "import $store -" \
	"mcp $store" "search $store --vector -" 'verify -' \
	"restore - $work/restored"; do
	# shellcheck disable=SC2086 # words
	"$COPPICE" $words <&- >/dev/null 2>"$work/err"
	case $? in
	2 | 7) like "$(cat "$work/err")" '*Bad file descriptor*' \
		"closed standard input is told: $words" ;;
	*) ok 1 "closed standard input is told: $words" ;;
	esac
done
[ ! -e "$work/restored" ]
ok $? 'nothing is made of it'
"$COPPICE" get "$store" nobody >&- 2>&- <&-
is $? 1 'an answer that is nothing stays one'
"$COPPICE" check "$store" >&- 2>&- <&-
is $? 0 'and a check that finds nothing'

# ---- after all

echo '{"key":"last"}' >&4
exec 4>&-
wait "$writer"
is $? 0 'the one who writes did so, and'
kill -TERM "$reader"
wait "$reader"
like "$(cat "$work/watched")" '*"last"*' 'who reads was told'
exits 0 'nothing is found by check' check "$store" --deep
exits 0 'nor in the other' check "$work/other" --deep
done_testing
