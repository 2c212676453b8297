#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The example service in nginx: a module in four workers.
. "$(dirname "$0")/tap.sh"
. tests/hosts/host.sh
host_needs nginx
module=$build/nginx/ngx_http_coppice_module.so
[ -e "$module" ] || skip_all 'the module is not built: make nginx'

# The names of the module are none of the library's, which is linked in.
if command -v nm >/dev/null && [ -d "$build/tools/nginx" ]; then
	nm -g --defined-only "$build"/tools/nginx/*.o |
		awk 'NF == 3 { print $3 }' | sort -u >"$work/ours"
	nm -g --defined-only "$build/libcoppice.a" 2>/dev/null |
		awk 'NF == 3 { print $3 }' | sort -u >"$work/theirs"
	is "$(comm -12 "$work/ours" "$work/theirs")" '' \
		'no symbol of the module is one of the library'
else
	skip 'no nm or no build folder' 'symbols of module and library'
fi

# ---- a prefix with the sample configuration

prefix=$work/nginx
mkdir -p "$prefix/modules"
case $module in
/*) ln -s "$module" "$prefix/modules/" ;;
*) ln -s "$PWD/$module" "$prefix/modules/" ;;
esac
host_port
conf()
{
	sed -e "s|127.0.0.1:18500|127.0.0.1:$port|" \
		-e "s|coppice_store store;|coppice_store $1;|" \
		tools/nginx/nginx.conf >"$prefix/nginx.conf"
}
set -- nginx -p "$prefix" -c nginx.conf
[ "$(id -u)" != 0 ] || set -- "$@" -g 'user root;'

# ---- what it does not start with

conf "$work/none"
refused=$("$@" -t 2>&1)
is $? 1 'a store that is not there fails nginx -t'
like "$refused" "*coppice: $work/none does not exist*" 'which says so'
conf "$store"
sed -i '/coppice_store/d' "$prefix/nginx.conf"
refused=$("$@" -t 2>&1)
is $? 1 'and so does a location without one'
like "$refused" '*no "coppice_store" for location "/entity"*' 'named'

# ---- the service

host_store
conf "$store"
host_start "$@"
host_drive --reload "kill -HUP $server" --inflight 8

conf "$work/none"
kill -HUP "$server"
tries=0
until grep -q 'none does not exist' "$work/server.log" || [ $tries -gt 100 ]
do
	tries=$((tries + 1))
	sleep 0.1
done
kill -0 "$server" && [ $tries -le 100 ]
ok $? 'a reload with a store that is not there goes on with what there was'
conf "$store"

# ---- requests that drive.py does not make

host_claims "$python" - "$port" <<'END'
import http.client, json, random, socket, struct, sys

from drive import ok

port = int(sys.argv[1])
vector = [0.5] * 32


def ask(method, path, body=None, headers={}, **more):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, headers, **more)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, text, answer


def post(path, body):
    return ask("POST", path, body if isinstance(body, (bytes, str))
               else json.dumps(body))


def raw(*parts, end=False):
    """Sends bytes as they are; what comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as peer:
        for part in parts:
            peer.sendall(part)
        if end:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
            return b""
        return peer.recv(65536)


status, text, answer = ask("HEAD", "/search?q=oak")
ok(status == 200 and not text and int(answer.getheader("Content-Length")) > 12,
   "HEAD has the head of GET", status, text)
status, _, answer = ask("PUT", "/add", "{}")
ok(status == 405 and answer.getheader("Allow") == "POST",
   "a wrong method is told the right ones", status)
status, text, answer = post("/add", b" " * 2000000)
ok(status == 413 and "error" in json.loads(text) and
   answer.getheader("X-Worker"), "a body that is too large is refused", status)

large = {"key": "large", "content": "x" * 900000}
body = json.dumps(large).encode()
status, text, _ = ask(
    "POST", "/add", iter([body[i:i + 7000] for i in range(0, len(body), 7000)]),
    {"Transfer-Encoding": "chunked"}, encode_chunked=True)
got = json.loads(ask("GET", "/entity?key=large")[1])
ok(status == 200 and got["content"] == large["content"],
   "a body in chunks, and in a file of nginx's, is taken", status, text)

deep = "[" * 100000
bad = [(status, body[:40]) for status, body in (
    (post("/add", body)[0], str(body)) for body in (
        "", "{", "nul", "[]", "{}", "{\"key\":\"k\",\"key\":\"l\"}", "\xff",
        b"\xff\xfe", "{\"key\":\"k\",\"properties\":{\"p\":NaN}}",
        "{\"key\":\"k\",\"properties\":{\"p\":1e999}}",
        "{\"key\":\"k\",\"properties\":{\"p\":99999999999999999999}}",
        "{\"key\":\"k\",\"properties\":{\"p\":%s%s}}" % ("[" * 40, "]" * 40),
        "{\"key\":\"k\",\"properties\":{\"p\":%s}}" % deep, deep,
        "{\"key\":\"k\"} x", "{\"key\":\"\"}", "{\"key\":7}",
        "{\"key\":\"k\",\"tags\":\"t\"}", "{\"key\":\"k\",\"tags\":[1]}",
        "{\"key\":\"k\",\"type\":{}}", "{\"key\":\"k\",\"vector\":[]}",
        "{\"key\":\"k\",\"vector\":{}}", "{\"key\":\"k\",\"edges\":[1]}",
        "{\"key\":\"k\",\"edges\":[{}]}", "{\"key\":\"k\",\"edges\":{}}",
        "{\"key\":\"k\",\"properties\":[]}", "{\"key\":\"k\",\"content\":1}",
        json.dumps({"key": "k", "vector": vector[1:] + ["x"]}),
        json.dumps({"key": "k", "vector": vector[1:] + [1e39]}),
        json.dumps({"key": "k", "vector": [0] * 32})))
    if status != 400]
ok(not bad, "what is no entity is refused", *bad)
ok(ask("GET", "/entity?key=k")[0] == 404, "and nothing of it is there")

bad = [(status, path) for status, path in (
    (ask("GET", path)[0], path) for path in (
        "/search", "/search?q=oak&k=0", "/search?q=oak&k=1001",
        "/search?q=oak&k=", "/search?q=oak&k=-1", "/search?q=oak&k=1e3",
        "/search?q=oak&k=99999999999999999999", "/search?q=oak&type=a%00b",
        "/entity", "/entity?key=", "/entity?key=" + "a" * 481,
        "/search?q=" + "a+" * 300)) if status != 400]
ok(not bad, "and so is what is no question", *bad)
bad = [(status, path) for status, path in (
    (ask("GET", path)[0], path) for path in (
        "/entity?key=%00", "/entity?key=%ff%fe%C0%80", "/entity?key=%",
        "/entity?key=%zz")) if status not in (400, 404)]
ok(not bad, "a key of any bytes is looked for", *bad)
status, text, _ = ask("GET", "/search?q=%00+%ff+" + "b" * 600)
ok(status == 200 and json.loads(text) == {"hits": []},
   "and words of any bytes are nobody's", status, text)
key = "\u0000 \u00e9\U0001f333"
status, _, _ = post("/add", {"key": key, "tags": ["\u0000"],
                             "properties": {"p": [key, -0.0, 1, 1e300, None]}})
got = json.loads(ask("GET", "/entity?key=%00%20%C3%A9%F0%9F%8C%B3")[1])
ok(status == 200 and got["key"] == key and got["tags"] == ["\u0000"] and
   got["properties"] == {"p": [key, -0.0, 1, 1e300, None]},
   "text comes back as it was", got)

chance = random.Random(7)

head = b"POST /add HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
for turn in range(40):
    raw(head % 500000, b"{" + b" " * chance.randrange(60000), end=True)
    raw(b"POST /search HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        b"\r\n5\r\n{\"a\":\r\n", end=True)
    raw(b"GET /entity?key=large HTTP/1.1\r\nHost: a\r\n\r\n", end=True)
ok(b" 400 " in raw(b"POST /add HTTP/1.1\r\nHost: a\r\n"
                   b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
   "chunks that are none are refused")
slow = b"{\"key\":\"slow\"}"
got = raw(head % len(slow), *[slow[i:i + 1] for i in range(len(slow))])
ok(b" 200 " in got, "a body may come byte by byte", got)
ok(ask("GET", "/search?q=oak")[0] == 200, "and it serves on after all that")
END
log=$work/server.log
is "$(grep -c 'exited on signal' "$log")" \
	"$(grep -c 'exited on signal 9' "$log")" \
	'no worker died but those that were killed'
is "$(grep -cE '\[(alert|crit|emerg)\]' "$log")" \
	"$(grep -cE 'exited on signal 9|none does not exist' "$log")" \
	'and the log tells of nothing worse'
host_stop
done_testing
