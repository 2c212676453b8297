#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The tab key: what `coppice complete` says may follow is what the verbs take,
# and bash, zsh and fish hand it on.
. "$(dirname "$0")/tap.sh"

# may WANT NAME WORD...: what the last word may become, without what it means
may()
{
	want=$1
	name=$2
	shift 2
	is "$("$COPPICE" complete "$@" | cut -f 1 | tr '\n' ' ')" "$want" "$name"
}

is "$("$COPPICE" complete s | cut -f 1 | sort | tr '\n' ' ')" \
	'scan search serve slow stat ' 'a verb is completed'
may 'put get ' 'and its second word' content ''
may 'content ' 'help takes verbs' help cont
may 'get ' 'of two words, too' help content g
may ':folders ' 'a store is a folder' search ''
may ':files ' 'an operand is a file where it is one' import kg ''
may ':files ' 'however many there are' import kg one two ''
may '' 'a key is not known' walk kg ''
may ':files ' 'behind a key a file' content put kg key ''
may '--strategy= ' 'an option with a value ends in =' search kg --str
may '--exact --explain ' 'one without does not' search kg --ex
may '--strategy=hnsw --strategy=hierarchical ' 'words of an option' \
	search kg --strategy=h
may 'hnsw hierarchical ' 'given apart' search kg --strategy h
may 'none ' 'words beside a value of any kind' init kg --history n
may ':files ' 'a backup is a file' restore ''
may ':folders ' 'and the store comes last' restore kg.backup ''
may ':files ' 'or there is none' verify ''
may ':files ' 'a file of an option' search kg --vector=
may ':folders ' 'the store, named so' search --store=
may ':files ' 'then the first operand is the next' import --store=kg ''
may '' 'a number is not guessed' search kg -k ''
may '' 'nothing follows no verb' nonsense ''
exits 0 'no word is no fault' complete
is "$(COPPICE_STORE=kg "$COPPICE" complete import '')" ':files' \
	'with COPPICE_STORE no store is asked for'

# Options with a choice of words take these and no others: the fault lists them.
"$COPPICE" help | sed -n 's/^  \(.\{12\}\).*/\1/p' | sed 's/ *$//' >"$work/verbs"
while read -r verb; do
	# shellcheck disable=SC2086 # a verb may be two words
	"$COPPICE" help $verb |
		sed -n 's/^ *--\([a-z-]*\)=\([a-z0-9]*|[a-z0-9|]*\)\( .*\)*$/\1 \2/p' |
		while read -r option words; do
			"$COPPICE" $verb "$store" "--$option=zz" 2>&1 |
				grep -q " takes one of $(echo "$words" |
					sed 's/|/, /g'), not 'zz'"
			echo "$? $verb --$option"
		done
done <"$work/verbs" >"$work/choices"
[ "$(wc -l <"$work/choices")" -gt 7 ]
ok $? 'some options have a choice of words'
is "$(grep -v '^0' "$work/choices")" '' 'which is what they take'

mkdir -p "$work/place/kg" "$work/bin"
touch "$work/place/keys.txt" "$work/place/k s.npy"
scripts=$PWD/tools/completion
ln -s "$COPPICE" "$work/bin/coppice"
PATH=$work/bin:$PATH
cd "$work/place" || exit 1

# in_bash WORD...: as bash takes the words apart, up to the cursor
cat >"$work/in.bash" <<'END'
compopt() { :; }
. "$1"
shift
COMP_WORDS=(coppice "$@")
COMP_CWORD=$#
_coppice
printf '%s|' "${COMPREPLY[@]}"
END
in_bash()
{
	bash "$work/in.bash" "$scripts/coppice.bash" "$@" 2>&1
}
if command -v bash >/dev/null; then
	is "$(in_bash sear)" 'search|' 'bash: a verb'
	is "$(in_bash search kg --strategy = h)" 'hnsw|hierarchical|' \
		'bash: the words of an option, without what is before ='
	is "$(in_bash search kg --strategy =)" \
		'auto|scan|hnsw|lsh|hierarchical|kdtree|' 'bash: all of them'
	is "$(in_bash search k)" 'kg|' 'bash: folders'
	is "$(in_bash import kg k | tr '|' '\n' | sort | tr '\n' '|')" \
		'k s.npy|keys.txt|kg|' 'bash: files'
	is "$(in_bash import kg --ids = ke)" 'keys.txt|' "bash: an option's file"
	like "$(in_bash search kg --)" '*--exact|*' 'bash: options'
else
	skip 'bash is not installed' 'bash'
fi

# What is zsh's own says what it was told.
cat >"$work/in.zsh" <<'END'
_describe() { print -rl -- $whole $open }
_files() { print -r -- "files $* after $IPREFIX" }
compset() { [[ $words[CURRENT] == --*=* ]] && IPREFIX=${words[CURRENT]%%=*}= }
script=$1
shift
words=(coppice "$@")
CURRENT=$#words
. $script
END
in_zsh()
{
	zsh "$work/in.zsh" "$scripts/_coppice" "$@" 2>&1
}
if command -v zsh >/dev/null; then
	like "$(in_zsh sear)" 'search:print the nearest *' 'zsh: a verb'
	is "$(in_zsh search kg --strategy=hn)" \
		'--strategy=hnsw:how it is done (default\: auto)' \
		'zsh: the words of an option'
	is "$(in_zsh search '')" 'files -/ after ' 'zsh: folders'
	is "$(in_zsh import kg --ids=k)" 'files  after --ids=' \
		"zsh: an option's file"
else
	skip 'zsh is not installed' 'zsh'
fi

in_fish()
{
	fish -c 'source $argv[1]; complete -C $argv[2]' \
		"$scripts/coppice.fish" "$1" 2>&1 | cut -f 1 | tr '\n' ' '
}
if command -v fish >/dev/null; then
	HOME=$work
	export HOME
	is "$(in_fish 'coppice sear')" 'search ' 'fish: a verb'
	is "$(in_fish 'coppice search kg --strategy=hn')" '--strategy=hnsw ' \
		'fish: the words of an option'
	is "$(in_fish 'coppice search k')" 'kg/ ' 'fish: folders'
	is "$(in_fish 'coppice import kg --ids=ke')" '--ids=keys.txt ' \
		"fish: an option's file"
else
	skip 'fish is not installed' 'fish'
fi
done_testing
