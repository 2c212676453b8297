#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The class library for PHP, and the example service in php-fpm behind nginx: a
# pool of four workers, which are another user than who made the store.
. "$(dirname "$0")/tap.sh"
. tests/hosts/host.sh
host_needs php php-fpm8.2 nginx
php -r 'exit(class_exists("FFI") && PHP_VERSION_ID >= 80200 ? 0 : 1);' ||
	skip_all 'PHP is older than 8.2, or has no FFI'

library=$(cd "$build" && pwd)
LD_LIBRARY_PATH=$library${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
COPPICE_FFI_HEADER=$library/coppice.ffi.h
export LD_LIBRARY_PATH COPPICE_FFI_HEADER
host_claims php -d ffi.enable=1 tools/php/test/binding.php "$work/binding"
host_claims php -d ffi.enable=1 tools/php/test/abuse.php "$work/abuse"
exits 0 'the store is whole after that' check "$work/abuse"

# ---- php-fpm

# A copy that workers may read, wherever the checkout is.
run=$work/run
mkdir -p "$work/include" "$run"
cp -R tools/php "$work/php"
cp "$COPPICE_FFI_HEADER" "$work/include/"
cp "$library/libcoppice.so.0" "$work/include/"
LD_LIBRARY_PATH=$work/include
owner=
if [ "$(id -u)" = 0 ]; then
	chmod 755 "$work"
	chmod -R a+rX "$work/php" "$work/include"
	setpriv --reuid www-data --regid www-data --clear-groups \
		test -r "$work/php/Coppice.php" ||
		skip_all "www-data cannot come to $work; set TMPDIR"
	owner='--mode 0660 --group www-data'
fi
unset COPPICE_FFI_HEADER
# shellcheck disable=SC2086
host_store $owner
host_port
host_start "$work/php/example/serve" "$port" "$store" "$run" "$work/include"
trap 'kill $server 2>/dev/null; wait $server; tap_end' EXIT
host_drive --reload "kill -HUP $server" --inflight 1 --large

# ---- what drive.py does not ask for

host_claims "$python" - "$port" "$run/php-fpm.sock" "$work/php/test" \
	"$store" <<'END'
import json, os, socket, struct, subprocess, sys

from drive import Server, ok

port, fpm, folder, store = sys.argv[1:5]
server = Server(f"http://127.0.0.1:{port}")


def ask(method, path, body=None):
    return server.ask(method, path, body)[:2]


def post(path, body):
    return ask("POST", path, body if isinstance(body, bytes)
               else json.dumps(body))


bad = [(wanted, got) for wanted, got in (
    (413, post("/search", b'{"vector":[' + b"[0]," * 2_500_000 + b"0]}")),
    (413, post("/search", b"x" * 30_000_000))) if got[0] != wanted]
ok(not bad, "and so is what memory or nginx does not hold", *bad)
bad = [(got, body[:60]) for got, body in (
    (post("/add", body), body) for body in (
        b'{"key":"\\ud800"}',
        b'{"key":"k","tags":["a\\u0000"]}')) if got[0] != 400]
bad += [(got, path) for got, path in (
    (ask("GET", path), path) for path in (
        "/search", "/search?q=oak&type=%00",
        "/search?q[]=oak", "/entity?key[]=a")) if got[0] != 400]
ok(not bad, "what else is no entity or no question is refused", *bad)


def fastcgi(script, query):
    """A request to php-fpm itself, for a script that nginx does not serve."""
    def record(kind, data):
        return struct.pack("!BBHHBx", 1, kind, 1, len(data), 0) + data
    pairs = {"SCRIPT_FILENAME": script, "QUERY_STRING": query,
             "REQUEST_METHOD": "GET"}
    names = b"".join(bytes([len(name), len(value)]) + (name + value).encode()
                     for name, value in pairs.items())
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(60)
        peer.connect(fpm)
        peer.sendall(record(1, struct.pack("!HB5x", 1, 0)) +
                     record(4, names) + record(4, b"") + record(5, b""))
        answer = b""
        while part := peer.recv(65536):
            answer += part
    return answer


def held():
    """Slots that are in use while nobody asks for anything."""
    run = subprocess.run([os.environ["COPPICE"], "readers", store],
                         capture_output=True, text=True)
    return run.stdout


for how, wanted in (
        ("memory", b"Allowed memory size"), ("time", b"Maximum execution"),
        ("thrown", b"DomainException"), ("undefined", b"undefined function"),
        ("exit", b"bye"), ("calls%20C", b"restricted"),
        ("late", b"oak.n.00008")):
    answers = [fastcgi(f"{folder}/fatal.php", f"how={how}") for _ in range(8)]
    ok(all(wanted in answer for answer in answers) and not held(),
       f"a request that ends by '{how}' leaves no snapshot", answers[0],
       held())
ok(ask("GET", "/entity?key=never")[0] == 404, "nor what it was writing")
END
is "$(grep -cE 'exited on signal' "$run/php-fpm.log")" \
	"$(grep -cE 'exited on signal 9' "$run/php-fpm.log")" \
	'no worker died but those that were killed'
host_stop
done_testing
