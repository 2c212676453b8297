# SPDX-License-Identifier: Apache-2.0
# fish completion of coppice, which says itself what may follow.

function __coppice_complete
	set -l words (commandline -opc) (commandline -ct)
	set -l word $words[-1]
	set -l prefix (string match -r -- '^--[^=]*=' $word)
	set -l value (string replace -r -- '^--[^=]*=' '' $word)
	for line in ($words[1] complete $words[2..] 2>/dev/null)
		switch $line
			case :files
				string replace -r -- '^' "$prefix" \
					(__fish_complete_path $value)
			case :folders
				string replace -r -- '^' "$prefix" \
					(__fish_complete_directories $value '')
			case '*'
				echo $line
		end
	end
end
complete -c coppice -f -a '(__coppice_complete)'
