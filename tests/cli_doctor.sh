#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_doctor: what `doctor` says of machines that are made up, of folders that
# are too small, of limits, and of a store's place.
#
#	machine PATH TEXT	a file of the machine
#	says WORDS NAME ARG...	doctor finds it, and ends with status 1
#	silent CHECK NAME ARG...	it finds nothing of that kind
. "$(dirname "$0")/tap.sh"

# Segments are in a folder of this test's own.
shm=$(mktemp -d /dev/shm/coppice-test-XXXXXX) || skip_all 'no /dev/shm'
trap 'rm -rf "$shm"; tap_end' EXIT

root=$work/root
COPPICE_DOCTOR_ROOT=$root
export COPPICE_DOCTOR_ROOT

machine()
{
	mkdir -p "$root${1%/*}"
	printf '%s\n' "$2" >"$root$1"
}

says()
{
	words=$1
	name=$2
	shift 2
	exits 1 "$name" doctor "$@"
	like "$out" "*$words*" 'in words'
}

silent()
{
	check=$1
	name=$2
	shift 2
	run doctor "$@"
	is "$(printf '%s\n' "$out" | grep -Ec "^(warn|bad) +$check ")" 0 "$name"
}

fine_machine()
{
	rm -rf "$root"
	machine /proc/sys/kernel/osrelease 6.1.0-13-amd64
	machine /proc/sys/vm/overcommit_memory 0
	machine /proc/sys/vm/max_map_count 65530
	machine /proc/meminfo 'MemAvailable:   16000000 kB'
	machine /proc/self/cgroup '0::/a/b'
	machine /sys/fs/cgroup/a/b/memory.max max
	machine /sys/kernel/mm/transparent_hugepage/shmem_enabled \
		'always within_size [advise] never deny force'
	machine /lmdb 0.9.24
}

exits 0 'init' init "$store" --dim 4 --shm-dir "$shm"
awk 'BEGIN { for (i = 0; i < 2000; i++)
	printf "{\"key\":\"k%d\",\"vector\":[%d,%d,1,%d]}\n",
		i, i % 97, i % 89, i % 7 }' >"$work/in"
run put "$store" -q <"$work/in"

# --- a machine without a fault
fine_machine
exits 0 'a fine machine, no store' doctor --shm-dir "$shm"
like "$out" '* checks are well' 'says so'
exits 0 'all of it' doctor --shm-dir "$shm" --all
like "$out" '*ok *kernel *6.1.0*ok *lmdb *0.9.24*' 'a line a check'
exits 0 'as JSON' doctor --shm-dir "$shm" --all --json
json "$work/out"
ok $? 'a line an object'
like "$out" '*"severity":"ok","check":"kernel","what":*"why":null,"do":null*' \
	'with what, why and do'
exits 3 'a store that is not there' doctor "$work/none"
like "$err" '*does not exist*' 'is an error, after the machine was looked at'

# --- machines with faults
machine /proc/sys/kernel/osrelease 3.10.0-1160
says 'kernel is 3.10.0-1160; *; run a newer' 'an old kernel'
fine_machine
machine /lmdb 0.9.29
says 'LMDB is 0.9.29; *ITS#10095*; use 0.9.24' 'an LMDB with a race'
machine /lmdb 1.0.0
says 'LMDB is 1.0.0; its file format' 'an LMDB of another format'
machine /lmdb 0.9.33
silent lmdb 'a later LMDB is well'
fine_machine
machine /proc/sys/vm/overcommit_memory 2
says 'vm.overcommit_memory is 2; *COPPICE_RESERVE' 'no overcommitment'
fine_machine
machine /proc/sys/vm/max_map_count 100
says 'vm.max_map_count is 100' 'few maps'
fine_machine
machine /sys/fs/cgroup/a/memory.max 1048576
says 'memory is limited to 1.0 MiB; *memory.max' 'a small control group above' \
	"$store"
fine_machine
machine /proc/self/cgroup '4:memory:/x'
machine /sys/fs/cgroup/memory/memory.limit_in_bytes 1048576
says 'memory is limited to 1.0 MiB' 'one of version 1' "$store"
fine_machine
machine /sys/kernel/mm/transparent_hugepage/shmem_enabled \
	'always within_size advise never [deny] force'
exits 0 'no huge pages' doctor --shm-dir="$shm"
like "$out" '*note *hugepages *no huge pages*' 'are a note'
machine /proc/meminfo "MemAvailable:   16000000 kB
SwapTotal:   1000 kB"
exits 0 'swap' doctor --shm-dir="$shm"
like "$out" '*note *memory *there is swap*' 'is a note'
fine_machine
COPPICE_CPU=scalar run doctor
like "$out" '*note *cpu *plain C*' 'plain C is a note'

# --- logind
fine_machine
machine /etc/login.defs '
SYS_UID_MAX  999'
machine /owner 1000
silent logind 'no systemd, no logind' "$store"
mkdir -p "$root/run/systemd/system"
silent logind 'logind leaves alone what is not in /dev/shm' "$store" \
	--shm-dir "$work"
says 'logind has RemoveIPC=yes, and user 1000' 'its default' "$store" \
	--shm-dir /dev/shm
machine /etc/systemd/logind.conf '#RemoveIPC=yes
RemoveIPC=no'
silent logind 'turned off' "$store" --shm-dir /dev/shm
machine /etc/systemd/logind.conf.d/10-x.conf 'RemoveIPC=yes'
says 'RemoveIPC=yes' 'a file in its folder has the last word' "$store" \
	--shm-dir /dev/shm
machine /owner 120
silent logind 'a user of the system' "$store" --shm-dir /dev/shm

# --- limits
fine_machine
case $COPPICE in
*/asan*/* | */tsan*/*) skip 'a sanitizer takes more' 'ulimit -v' ;;
*)
	(ulimit -v 50000000 && "$COPPICE" doctor >"$work/out" 2>&1)
	is "$?" 1 'ulimit -v'
	like "$(cat "$work/out")" \
		'*address space is limited*COPPICE_RESERVE*' 'is told'
	;;
esac
(ulimit -n 32 && "$COPPICE" doctor >"$work/out" 2>&1)
is "$?" 1 'ulimit -n'
like "$(cat "$work/out")" '*may have 32 files open*' 'is told'
(ulimit -f 100000 && "$COPPICE" doctor >"$work/out" 2>&1)
is "$?" 1 'ulimit -f'
like "$(cat "$work/out")" '*files may have * at most*' 'is told'

# --- folders
mkdir "$work/disk"
says 'is not on a tmpfs' 'a folder that is on a disk' --shm-dir "$work/disk"
says 'No such file' 'a folder that is none' --shm-dir "$work/nothing"
mkdir "$work/docker"
if mount -t tmpfs -o size=64m tmpfs "$work/docker" 2>/dev/null; then
	says 'is 64.0 MiB, as Docker makes it; *--shm-size' "Docker's size" \
		--shm-dir "$work/docker"
	mount -o remount,size=1m "$work/docker"
	says 'this store may need' 'too small for the store' "$store" \
		--shm-dir "$work/docker"
	mount -o remount,size=32m "$work/docker"
	dd if=/dev/zero of="$work/docker/full" bs=1M count=31 2>/dev/null
	says 'free; *segment' 'too full' "$store" --shm-dir "$work/docker"
	rm "$work/docker/full"
	exits 0 'a store in it' init "$work/docker/store" --shm-dir "$shm"
	says 'is on a tmpfs; what is written there goes' 'a store on a tmpfs' \
		"$work/docker/store"
	run detach "$work/docker/store"
	umount "$work/docker"
else
	skip 'no right to mount' 'folders that are too small'
fi
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	unshare -m sh -c 'mount --bind "$2" "$2" &&
		mount -o remount,ro,bind "$2" && "$1" doctor "$2" --shm-dir "$3"' \
		sh "$COPPICE" "$store" "$shm" >"$work/out" 2>&1
	is $? 1 'a store on a file system that is mounted read-only'
	like "$(cat "$work/out")" \
		"*bad *store *$store cannot be opened; *Read-only*mount it writable*" \
		'is told, with what to do'
	like "$(grep -c 'ask for permission' "$work/out")" 0 'nothing else'
else
	skip 'no right to mount' 'a store that is mounted read-only'
fi
exits 0 'locks and disk' doctor "$store" --all
like "$out" '*ok *disk *ok *locks *' 'are well'
is "$(ls -A "$store" | grep -c doctor)" 0 'nothing is left in the store'

# --- who is attached
mkfifo "$work/pipe"
awk 'BEGIN { for (i = 0; i < 400; i++)
	printf "{\"key\":\"long%d\",\"content\":\"%0400d\"}\n", i, i }' >"$work/in"
run put "$store" -q <"$work/in"
if unshare --pid --fork true 2>/dev/null; then
	unshare --pid --fork "$COPPICE" scan "$store" --json >"$work/pipe" &
	scan=$!
	exec 3<"$work/pipe"
	head -c 1 <&3 >/dev/null
	exits 0 'a reader of another PID namespace' doctor "$store"
	like "$out" '*note *readers *1 readers are of other PID*' 'is a note'
	echo "{\"key\":\"later\"}" | "$COPPICE" put "$store" -q >"$work/put"
	COPPICE_STALL_SECONDS=0
	export COPPICE_STALL_SECONDS
	says "reads are stalled" "a stalled one" "$store"
	unset COPPICE_STALL_SECONDS
	exec 3<&-
	wait $scan
else
	skip 'no right to a namespace' 'a reader of another PID namespace'
fi

# --- shared memory that was removed while in use
exits 0 'attach' attach "$store"
exits 0 'who is attached' doctor "$store" --all
like "$out" '*ok *attached *share *' 'shares it'
mkfifo "$work/asked"
"$COPPICE" mcp "$store" <"$work/asked" >"$work/answered" 2>&1 &
assistant=$!
exec 3>"$work/asked"
echo '{"jsonrpc":"2.0","id":1,"method":"ping"}' >&3
tries=0
until [ -s "$work/answered" ] || [ $tries -gt 200 ]; do
	tries=$((tries + 1))
	sleep 0.05
done
rm -r "$shm"/coppice-*
says "attached*, of which one has pid $assistant, *RemoveIPC*; stop those" \
	'doctor tells of it, and whose it is' "$store"
exits 5 'ping, too' ping "$store"
like "$err" '*were removed *stop those processes*' 'with what helps'
exits 5 'and whoever opens the store' attach "$store"
exec 3>&-
wait $assistant
exits 1 'when nobody has it' ping "$store"
like "$err" '*coppice attach*' 'it is to be attached'
exits 0 'which helps' attach "$store"
exits 0 'it answers' ping "$store"

# --- what is left over
exits 0 'attach' attach "$store"
silent leftovers 'shared memory of a store that is there' --shm-dir "$shm"
mv "$store" "$work/moved"
says "coppice-*is left over; it is of $store" 'of one that was moved' \
	--shm-dir "$shm"
exits 0 'attached where it is' attach "$work/moved"
silent leftovers 'it is known again' --shm-dir "$shm"
rm -r "$work/moved"
says "is left over; *rm -r $shm/coppice-" 'of one that is removed' \
	--shm-dir "$shm"
done_testing
