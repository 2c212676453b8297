#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_backup: backup, verify, restore and upgrade, as the command does them:
# files whole or not at all, pipes, full disks, deaths.
. "$(dirname "$0")/tap.sh"

backup=$work/backup

# as_it_was STORE NAME: the store has what the first one had
as_it_was()
{
	run scan "$1" --json
	is "$(sort "$work/out")" "$first" "$2"
}

exits 0 'init' init "$store" --dim 3 --history 7d
awk 'BEGIN { srand(1); for (i = 0; i < 3000; i++)
	printf "{\"key\":\"k%d\",\"type\":\"T%d\",\"vector\":[%d,%d,1],\"content\":\"%f%f%f\"}\n",
		i, i % 3, i % 97, i % 89, rand(), rand(), rand() }' >"$work/in"
awk 'BEGIN { for (i = 1; i < 3000; i++)
	printf "{\"source\":\"k%d\",\"type\":\"half\",\"target\":\"k%d\"}\n",
		i, i / 2 }' >>"$work/in"
exits 0 'import' import "$store" "$work/in" --format ndjson -q
exits 0 'a deletion' delete "$store" k7
exits 0 'a rule' retain "$store" --type T1 --history all
exits 0 'scan' scan "$store" --json
first=$(sort "$work/out")

# ---- backup

exits 2 'backup needs a file' backup "$store"
exits 3 'backup of no store' backup "$work/none" "$backup"
exits 0 'backup' backup "$store" "$backup"
like "$out" '*entities*2,999*' 'it says what is in it'
is "$(stat -c %a "$backup")" 600 'the file is its owner'"'"'s'
is "$(ls "$work" | grep -c partial)" 0 'it has its name'
before=$(cksum <"$backup")
exits 2 'a file that is there is not replaced' backup "$store" "$backup"
like "$err" '*--force*' 'and how it would be'
is "$(cksum <"$backup")" "$before" 'it is as it was'
exits 0 'it is with --force' backup "$store" "$backup" --force --json
json "$work/out"
ok $? 'told as JSON'
is "$(field entities <"$work/out")" 2999 'with the entities'
exits 2 'a folder is no file' backup "$store" "$work"
exits 2 'a folder that is not there' backup "$store" "$work/none/backup"
exits 0 'not compressed' backup "$store" "$work/plain" --plain -q
is "$out$err" '' 'quietly'
[ "$(stat -c %s "$work/plain")" -gt "$(stat -c %s "$backup")" ]
ok $? 'it is larger'
exits 0 'a device is written to as it is' backup "$store" /dev/null -q
exits 2 '--json with standard output' backup "$store" - --json

# ---- verify

exits 0 'verify' verify "$backup"
like "$out" '*commit*entities*2,999*cosine*' 'it says what it is'
exits 0 'verify --json' verify "$work/plain" --json
is "$(field edges <"$work/out")" "$("$COPPICE" stat "$store" --json |
	field edges)" 'as the store is'
COPPICE_STORE=$store TMPDIR=$work exits 0 'verify --deep, whatever COPPICE_STORE' \
	verify --deep "$backup"
is "$(find "$work" -name 'coppice-verify*')" '' 'it leaves nothing'
exits 2 'verify has no store' verify "$backup" --store "$store"
exits 3 'verify no file' verify "$work/none"
exits 4 'verify what is no backup' verify "$work/in"
like "$err" "*$work/in: *no backup*" 'names it'
"$COPPICE" verify - <"$backup" >"$work/out"
is $? 0 'verify standard input'
head -c 20000 "$backup" | "$COPPICE" verify - 2>"$work/err"
is $? 4 'one that was cut off'
like "$(cat "$work/err")" '*cut off*20000*' 'says where'
cat "$backup" "$backup" | "$COPPICE" verify - 2>"$work/err"
is $? 4 'two in one'
cp "$backup" "$work/bad"
printf x | dd of="$work/bad" bs=1 seek=30000 conv=notrunc 2>/dev/null
exits 4 'a byte that is wrong' verify "$work/bad"
like "$err" '*damaged*' 'is damage'
exits 4 'and not restored' restore "$work/bad" "$work/r0"
[ ! -e "$work/r0" ] && [ ! -e "$work/r0.restoring" ]
ok $? 'nothing is left'

# ---- restore

exits 0 'restore' restore "$backup" "$work/r1"
as_it_was "$work/r1" 'it has what it had'
exits 1 'what was deleted' get "$work/r1" k7
exits 0 'is in its history' get "$work/r1" k7 --as-of 1
exits 0 'and in its rules' retain "$work/r1" --json
is "$out" "$("$COPPICE" retain "$store" --json)" 'all are'
exits 0 'nothing is found by check' check "$work/r1"
exits 2 'what is there is not restored over' restore "$backup" "$work/r1"
mkdir "$work/empty"
exits 0 'an empty folder may be there' restore "$work/plain" "$work/empty/" -q
as_it_was "$work/empty" 'it has what it had'
COPPICE_STORE=$work/r2 exits 0 'COPPICE_STORE may name the store; --check' \
	restore "$backup" --check
as_it_was "$work/r2" 'it has what it had'
exits 0 'with a mode of its own' restore "$backup" "$work/r3" --mode 0660 \
	--group "$(id -g)" --shm-dir "$work" -q
is "$(stat -c %a "$work/r3/gen-000001/data.mdb")" 660 'its files have it'
as_it_was "$work/r3" 'with shared memory elsewhere'
exits 0 'detach' detach "$work/r3"
exits 2 'a mode that is none' restore "$backup" "$work/r4" --mode 0777
exits 2 'a folder for shared memory that is none' restore "$backup" \
	"$work/r4" --shm-dir "$work/none"
exits 2 'restore needs a store' restore "$backup"
exits 2 'in a folder that is not there' restore "$backup" "$work/none/r4"
mkdir "$work/r5.restoring"
exits 0 'an empty folder that a death left' restore "$backup" "$work/r5" -q
cp -r "$work/r5" "$work/r6.restoring"
exits 2 'a store is not taken for one' restore "$backup" "$work/r6"
[ -f "$work/r6.restoring/CURRENT" ]
ok $? 'and stays'

# ---- pipes

"$COPPICE" backup "$store" - 2>"$work/err" | "$COPPICE" restore - "$work/p1" -q
is $? 0 'from pipe to pipe'
like "$(cat "$work/err")" '*entities*' 'what it is goes to standard error'
as_it_was "$work/p1" 'it has what it had'
mkfifo "$work/fifo"
head -c 5000 <"$work/fifo" >/dev/null &
exits 1 'whoever reads it stops' backup "$store" "$work/fifo"
like "$err" '*not complete*' 'it is told so'
wait
exits 0 'the store is none the worse' check "$store"

# ---- no room

if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	mkdir "$work/small"
	unshare -m sh -c '
		mount -t tmpfs -o size=1500k tmpfs "$2/small" || exit 9
		cd "$2/small" || exit 9
		head -c 100k "$2/backup" >old && cp old kept
		"$1" backup "$3" old --force -q 2>"$2/err"
		code=$?
		head -c 900k /dev/zero >filler
		"$1" backup "$3" full --plain -q 2>>"$2/err"
		echo "$code $?"
		rm filler
		ls
		for size in 1500k 1800k 2000k; do
			mount -o "remount,size=$size" "$2/small"
			"$1" restore "$2/backup" restored -q 2>>"$2/err"
			echo $?
			ls
		done
	' sh "$COPPICE" "$work" "$store" >"$work/out"
	is "$(tr '\n' ' ' <"$work/out")" \
		'0 6 kept old 6 kept old 6 kept old 6 kept old ' \
		'a full disk is status 6, and nothing is left'
	like "$(cat "$work/err")" '*free room*' 'and what to do'
else
	skip 'needs root' 'a full disk is status 6, and nothing is left'
	skip 'needs root' 'and what to do'
fi

# ---- deaths and signals

wrong=0
for pause in 0.002 0.004 0.006 0.008 0.010 0.012 0.015 0.02; do
	"$COPPICE" backup "$store" "$work/killed" -q &
	sleep "$pause"
	kill -9 $! 2>/dev/null
	wait $! 2>/dev/null
	[ ! -e "$work/killed" ] || "$COPPICE" verify "$work/killed" -q ||
		wrong=1
	"$COPPICE" backup "$store" "$work/killed" --force -q &&
		[ ! -e "$work/killed.partial" ] || wrong=1
	rm -f "$work/killed"
	"$COPPICE" restore "$backup" "$work/k" -q &
	sleep "$pause"
	kill -9 $! 2>/dev/null
	wait $! 2>/dev/null
	if [ ! -e "$work/k" ]; then
		"$COPPICE" restore "$backup" "$work/k" -q || wrong=1
	fi
	[ ! -e "$work/k.restoring" ] && "$COPPICE" check "$work/k" >/dev/null ||
		wrong=1
	"$COPPICE" detach "$work/k"
	rm -rf "$work/k"
done 2>/dev/null
is "$wrong" 0 'killed while it writes or restores, the next one clears up'

# stopped NAME: what runs in the background ends by SIGTERM
stopped()
{
	sleep 0.3
	kill -TERM "$pid"
	wait "$pid"
	is $? 143 "$1"
	kill "$holder"
	wait
}
sleep 60 <"$work/fifo" &
holder=$!
"$COPPICE" backup "$store" "$work/fifo" &
pid=$!
stopped 'a backup that nobody reads is stopped by a signal'
{
	head -c 150000 "$backup"
	exec sleep 60
} >"$work/fifo" &
holder=$!
"$COPPICE" restore "$work/fifo" "$work/stopped" &
pid=$!
stopped 'a restore that nobody feeds is'
[ ! -e "$work/stopped" ] && [ ! -e "$work/stopped.restoring" ]
ok $? 'and leaves nothing'
exits 0 'check, after all' check "$store"

# ---- upgrade

exits 0 'upgrade' upgrade "$store"
like "$out" 'format *nothing to do*' 'there is nothing to do'
exits 3 'upgrade no store' upgrade "$work/none"
cp -r "$work/r5" "$work/newer"
sed -i '1s/.*/coppice 99/' "$work/newer/CURRENT"
exits 8 'a store of a newer format' upgrade "$work/newer"
like "$err" '*format 99*newer*' 'says what to install'
sed -i '1s/.*/coppice 1/' "$work/newer/CURRENT"
exits 8 'one of a format before the first' upgrade "$work/newer"

done_testing
