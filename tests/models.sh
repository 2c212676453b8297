#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The models in tests/models: each holds, and each of its mutants, which lacks
# one step, one check or one ordering, is caught.  See tests/models/README.md.
#
#	COPPICE_MODELS=large	larger sizes, too: minutes, and 4 GiB
TAP_SECONDS=${TAP_SECONDS:-3000}
. "$(dirname "$0")/tap.sh"

models=$PWD/tests/models
size=${COPPICE_MODELS:-small}
mkdir "$work/models"
cd "$work/models" || exit 1

# Sizes of the Spin models.  A mutant is to be caught in one of them; those
# that the first one does not show say in which.
snapshot_small='ATTEMPTS=2,DEATHS=2 ATTEMPTS=3,DEATHS=1'
snapshot_large='ATTEMPTS=3,DEATHS=2 ATTEMPTS=3,DEATHS=1,MAY_FAIL=1'
slot_small='PROCESSES=12,DEATHS=2 PROCESSES=3 PROCESSES=10'
slot_large='PROCESSES=11 PROCESSES=13 PROCESSES=14,DEATHS=2'
slot_shows='1,PROCESSES=3 5,PROCESSES=3 6,PROCESSES=3'
group_small='TIMEOUTS=0 DEATHS=0 DEATHS=0,TIMEOUTS=0,POISON=4
	DEATHS=0,TIMEOUTS=0,FAILING=4,REFUSED=1'
group_large='DEATHS=2 FAILING=4,REFUSED=1 POISON=4'
group_shows='4,DEATHS=0,TIMEOUTS=0,POISON=4 11,DEATHS=0
	15,DEATHS=0,TIMEOUTS=0,FAILING=4,REFUSED=1'
generation_small='DEATHS=2,WRITERS=1,READS=0 DEATHS=0,WRITERS=1
	COMPACTORS=1,READS=1'
generation_large='WRITERS=1,READS=1 READS=0'
generation_shows='12,DEATHS=0,WRITERS=1'

scenes() # MODEL
{
	eval "echo \$$1_small"
	[ "$size" != large ] || eval "echo \$$1_large"
}

# The lines of a Spin model's mutants: number, what is missing.
mutants() # MODEL
{
	sed -n '/^\/\* mutants \*\/$/,/^$/s,^#define[^0-9]*\([0-9]*\)[^/]*/\* \(.*\) \*/,\1 \2,p' \
		"$models/$1.pml"
}

# Compiling takes longer than running, so only large sizes are optimized.
optimize=-O0
[ "$size" != large ] || optimize=-O2

spin_make() # MODEL
{
	mkdir "$1" && cd "$1" && spin -a "$models/$1.pml" >log 2>&1 &&
		gcc $optimize -w -DSAFETY -DNOFAIR -DMEMLIM=6000 -o pan pan.c \
			>>log 2>&1
}

# A file of what pan said: its name says what was run.
spin_run() # MODEL MUTANT SCENE
{
	mkdir "$1/$2-$3" && cd "$1/$2-$3" &&
		env MUTANT="$2" $(echo "$3" | tr , ' ') ../pan -m20000 -w20 \
			>said 2>&1
	grep -q 'errors: 0' said && ! grep -q 'depth too small' said
}

spin_caught() # MODEL MUTANT
{
	eval "shows=\${$1_shows-}"
	for scene in $shows $(scenes "$1"); do
		case $scene in
		"$2",*) scene=${scene#*,} ;;
		[0-9]*) continue ;;
		esac
		(spin_run "$1" "$2" "$scene") || break
	done
	grep -oE '(assertion violated .*|invalid end state)' \
		"$1/$2-$scene/said" >"$1/$2" && echo "$scene" >>"$1/$2"
}

# Group commit once more, for liveness: no cycle without an answer.
live=DEATHS=0,TIMEOUTS=0,POISON=4
[ "$size" != large ] || live=DEATHS=1,TIMEOUTS=0,POISON=4

live_make()
{
	mkdir live && cd live && spin -a "$models/group.pml" >log 2>&1 &&
		gcc $optimize -w -DNP -DNOFAIR -DMEMLIM=6000 -o pan pan.c \
			>>log 2>&1
}

live_run() # MUTANT; -A: whatever else is wrong
{
	mkdir "live/$1" && cd "live/$1" &&
		env MUTANT="$1" $(echo $live | tr , ' ') ../pan -l -A \
			-m100000 -w20 >said 2>&1
}

live_report()
{
	grep -q 'errors: 0' live/0/said && ! grep -q 'depth too small' live/0/said
	ok $? "group: whoever waits is answered, with $live" ||
		diag "$(cat live/log live/0/said)"
	grep -q '^pan:1: non-progress cycle' live/1/said
	ok $? 'group: he is not if nobody answers for a dead leader'
}

relacy_make()
{
	g++ -std=c++17 $optimize -w -o relacy "$models/models.cpp" >relacy.log 2>&1
}

relacy_run() # NAME MUTANT
{
	./relacy "$1" "$2" >"relacy-$1-$2" 2>&1
	echo $? >"relacy-$1-$2.status"
}

# Two at a time: `job COMMAND...`, then `jobs_wait`.
job()
{
	if [ -n "${other-}" ]; then
		wait "$other"
	fi
	other=${latest-}
	("$@") &
	latest=$!
}

jobs_wait()
{
	wait
	other=
	latest=
}

spin_report() # MODEL
{
	for scene in $(scenes "$1"); do
		grep -q 'errors: 0' "$1/0-$scene/said" &&
			! grep -q 'depth too small' "$1/0-$scene/said"
		ok $? "$1 holds with $scene" || {
			diag "$(cat "$1/log" "$1/0-$scene/said")"
			continue
		}
		diag "$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1 states/p' \
			"$1/0-$scene/said")"
	done
	mutants "$1" >"$1/list"
	[ -s "$1/list" ] || ok 1 "$1 has mutants"
	while read -r number missing; do
		[ -s "$1/$number" ]
		ok $? "$1 is caught if $missing" || continue
		diag "$(paste -sd ' ' "$1/$number" | cut -c 1-74)"
	done <"$1/list"
}

relacy_report()
{
	while IFS="$(printf '\t')" read -r name number text; do
		status=$(cat "relacy-$name-$number.status")
		case $number-$text in
		0-*) is "$status" 0 "$name: $text" ;;
		*-spare:*) is "$status" 0 "$name: ${text#spare: } (spare)" ;;
		*) is "$status" 1 "$name is caught if $text" ;;
		esac
		diag "$(cat "relacy-$name-$number")"
	done <relacy.list
}

has_spin=0
has_relacy=0
command -v spin >/dev/null && command -v gcc >/dev/null && has_spin=1
echo '#include <relacy/relacy.hpp>' | g++ -w -E -x c++ - >/dev/null 2>&1 &&
	has_relacy=1
[ $has_spin$has_relacy != 00 ] ||
	skip_all 'neither spin nor relacy is there: tools/deps test'

all='group snapshot slot generation'
if [ $has_spin = 1 ]; then
	for model in $all; do job spin_make "$model"; done
	job live_make
fi
[ $has_relacy = 0 ] || job relacy_make
jobs_wait

if [ $has_spin = 1 ]; then
	job live_run 0
	job live_run 1
	for model in $all; do
		for scene in $(scenes "$model"); do
			job spin_run "$model" 0 "$scene"
		done
		for number in $(mutants "$model" | cut -d ' ' -f 1); do
			job spin_caught "$model" "$number"
		done
	done
fi
if [ $has_relacy = 1 ] && [ -x relacy ]; then
	./relacy >relacy.list
	while IFS="$(printf '\t')" read -r name number text; do
		job relacy_run "$name" "$number"
	done <relacy.list
fi
jobs_wait

if [ $has_spin = 1 ]; then
	for model in $all; do spin_report "$model"; done
	live_report
else
	skip 'spin is not installed: tools/deps test' \
		'the process protocols hold'
fi
if [ $has_relacy = 1 ]; then
	[ -x relacy ]
	ok $? 'the relacy models compile' || diag "$(cat relacy.log)"
	[ ! -x relacy ] || relacy_report
else
	skip 'relacy is not installed: tools/deps test' \
		'the orderings suffice'
fi
done_testing
