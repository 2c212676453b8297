# SPDX-License-Identifier: Apache-2.0
# bash completion of coppice, which says itself what may follow.

_coppice()
{
	local words=() last=-1 word line prefix value

	# bash takes --option=value apart.
	for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
		if ((last >= 0)) && [[ $word == = || ${words[last]} == --*= ]]
		then
			words[last]+=$word
		else
			words[++last]=$word
		fi
	done
	word=${words[last]}
	value=$word prefix=
	if [[ $word == --*=* ]]; then
		value=${word#*=}
		prefix=${word%%=*}=
	fi
	# What stands before = is not part of what is replaced, as a rule.
	local cut=$prefix
	[[ $COMP_WORDBREAKS == *=* ]] || cut=
	COMPREPLY=()
	while IFS= read -r line; do
		case $line in
		:files)
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -P "${prefix#"$cut"}" \
				-f -- "$value")
			;;
		:folders)
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -P "${prefix#"$cut"}" \
				-d -- "$value")
			;;
		*)
			line=${line%%$'\t'*}
			COMPREPLY+=("${line#"$cut"}")
			[[ $line == *= ]] && compopt -o nospace
			;;
		esac
	done < <("${COMP_WORDS[0]}" complete "${words[@]}" 2>/dev/null)
}
complete -F _coppice coppice
