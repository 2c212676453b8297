# SPDX-License-Identifier: Apache-2.0
#
# host.sh: for tests of the example service in real servers; sourced by
# tests/host_*.sh after tap.sh.
#
#	host_store ARG...	makes $store with what drive.py knows of; ARG...
#				are of `coppice init`
#	host_port		sets $port to one that is free
#	host_start COMMAND...	starts a server, $server is its pid, and waits
#				until $port answers
#	host_drive ARG...	drive.py's claims become this file's
#	host_claims COMMAND...	those of another program, written as its are
#	host_stop		ends the server, waits for it, checks the store and
#				removes it

build=${COPPICE_BUILD:-build/release}
case $build in
*/release) ;;
*) skip_all 'hosts are tested with the release build' ;;
esac
python=/usr/bin/python3
export PYTHONDONTWRITEBYTECODE=1
[ -x "$python" ] || skip_all 'python3, which drives the servers, is missing'

host_needs()
{
	for host_tool; do
		command -v "$host_tool" >/dev/null ||
			skip_all "$host_tool is not installed"
	done
}

host_store()
{
	"$python" tests/hosts/drive.py data >"$work/data.jsonl"
	exits 0 'a store is made' init "$store" --dim 32 "$@"
	exits 0 'and filled' import "$store" "$work/data.jsonl" -q
}

host_port()
{
	port=$("$python" -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
}

host_start()
{
	"$@" >"$work/server.log" 2>&1 &
	server=$!
	trap 'kill -9 $server 2>/dev/null; tap_end' EXIT
	"$python" - "$port" <<-'END'
	import socket, sys, time
	for attempt in range(300):
	    try:
	        socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
	        sys.exit(0)
	    except OSError:
	        time.sleep(0.1)
	sys.exit(1)
	END
	ok $? "it starts: $1" || diag "$(tail -20 "$work/server.log")"
}

host_drive()
{
	host_claims "$python" tests/hosts/drive.py serve \
		--url "http://127.0.0.1:$port" --store "$store" "$@"
}

host_claims()
{
	COPPICE=$COPPICE PYTHONPATH=tests/hosts${PYTHONPATH:+:$PYTHONPATH} \
		"$@" >"$work/drive" 2>"$work/drive.err"
	ok $? 'all claims hold' || diag "$(tail -5 "$work/drive.err")" \
		"$(tail -20 "$work/server.log")"
	while IFS= read -r host_line; do
		case $host_line in
		'ok - '*) ok 0 "${host_line#ok - }" ;;
		'not ok - '*) ok 1 "${host_line#not ok - }" ;;
		*) echo "$host_line" ;;
		esac
	done <"$work/drive"
}

host_stop()
{
	kill -TERM "$server"
	wait "$server"
	trap tap_end EXIT
	exits 0 'the store is whole' check "$store"
	for host_try in 1 2 3 4 5 6 7 8 9 10; do
		run detach "$store"
		[ "$status" = 0 ] && break
		sleep 0.5
	done
	is "$status" 0 'and nobody is attached any more'
	rm -rf "$store"
}
