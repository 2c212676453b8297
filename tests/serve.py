# SPDX-License-Identifier: Apache-2.0
"""`coppice serve` and `coppice metrics`; TAP.  serve.py COPPICE FOLDER"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import exposition
from serving import Served, fill, load
from tap import done, ok

COPPICE, FOLDER = sys.argv[1:3]
STORE = os.path.join(FOLDER, "store")
KEY = 'a "quoted" & <key>'


def coppice(*words):
    return subprocess.run([COPPICE, *words], capture_output=True, text=True)


def answers(served):
    ok(served.get("health") == (200, {"status": "healthy", "reasons": []}),
       "a new store is healthy")
    ok(served.get("ready") == (200, {"ready": True, "commit": 1}),
       "and ready")
    status, stats = served.get("stats")
    ok(status == 200 and stats["figures"]["entities"] == 101 and
       stats["timings"]["search"].keys() >= {"p50", "p95", "p99", "count"},
       "/stats has figures and quantiles")
    ok([one["name"] for one in stats["processes"]] == ["coppice serve"] and
       all(one["bytes"] >= 0 for one in stats["memory"]),
       "processes, and the map of memory")
    status, headers, body = served.ask("metrics")
    ok(status == 200 and headers["Content-Type"].startswith("text/plain; "
                                                            "version=0.0.4"),
       "/metrics is in Prometheus's format")
    wrong = exposition.faults(body.decode())
    ok(not wrong, "and holds to its rules", wrong)


def finds(served):
    status, found = served.get("search?text=entity&k=7&type=person")
    ok(status == 200 and len(found["hits"]) == 7 and
       all(hit["type"] == "person" for hit in found["hits"]),
       "/search finds by words, of a type")
    status, found = served.get("search?like=e5&k=3&tag=some")
    said = coppice("search", STORE, "--like", "e5", "-k", "3", "--json")
    ok([hit["key"] for hit in found["hits"]] ==
       [json.loads(line)["key"] for line in said.stdout.splitlines()],
       "and what is near, as `coppice search` does")
    status, got = served.get("entity?key=a%20%22quoted%22%20%26%20%3Ckey%3E")
    ok(status == 200 and got["entity"]["key"] == KEY and got["degree"] == 3,
       "/entity takes any key", got)
    status, got = served.get("graph?key=e0&hops=2&limit=9")
    nodes, edges = got["nodes"], got["edges"]
    ok(status == 200 and len(nodes) == 9 and got["more"] and
       nodes[0]["key"] == "e0" and
       all(max(edge["source"], edge["target"]) < 9 for edge in edges) and
       len({(one["source"], one["target"], one["relation"])
            for one in edges}) == len(edges),
       "/graph keeps to its limit, and has each edge once")


def refuses(served):
    for path, status in (
            ("search", 400), ("search?k=0&text=a", 400),
            ("search?k=4294967297&text=a", 400), ("search?k=x&text=a", 400),
            ("search?text=a%00b", 400), ("search?like=nobody", 404),
            ("entity", 400), ("entity?key=", 400),
            ("entity?key=" + "k" * 481, 400), ("graph?key=e0&hops=3", 400),
            ("graph?key=e0&limit=501", 400), ("none", 404),
            ("../etc/passwd", 404), ("search?text=%zz%", 200)):
        got = served.ask(path)
        ok(got[0] == status and json.loads(got[2]),
           f"{path[:30]} is answered with {status}", got)
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
        status, headers, _ = served.ask("stats", method=method)
        ok(status == 405 and headers["Allow"] == "GET, HEAD",
           f"{method} is refused", status)
    status, _, body = served.ask("stats", method="HEAD")
    ok(status == 200 and not body, "HEAD has no body")
    ok(served.ask("ready", body=b"x" * 10)[0] == 400, "nor may a GET")


def hosts(served):
    for host, status in (("localhost", 200), ("127.0.0.1:1", 200),
                         ("[::1]:9475", 200), ("LocalHost:9475", 200),
                         ("evil.example", 403), ("localhost.evil", 403),
                         ("localhost:80@evil", 403), ("", 403),
                         ("graph.example", 200)):
        got = served.ask("ready", headers={"Host": host})[0]
        ok(got == status, f"the host {host!r} is answered with {status}", got)
    for line, status in (
            ("GET http://localhost/ready HTTP/1.0", 200),
            ("GET HTTP://[::1]:9475/ready HTTP/1.0", 200),
            ("GET http://localhost/ready HTTP/1.1\r\nHost: localhost", 200),
            ("GET http://localhost/none HTTP/1.0", 404),
            ("GET http://localhost HTTP/1.0", 200),
            ("GET http://evil.example/ready HTTP/1.0", 403),
            ("GET http://localhost@evil.example/ready HTTP/1.0", 403),
            ("GET http:///ready HTTP/1.0", 403),
            ("GET http://" + "l" * 300 + "/ready HTTP/1.0", 403),
            ("GET http://evil.example/ready HTTP/1.1\r\nHost: localhost", 403),
            ("GET http://localhost/ready HTTP/1.1\r\nHost: evil", 403),
            ("GET /ready HTTP/1.0", 403),
            ("GET /ready HTTP/1.1\r\nHost: localhost\r\nHost: evil", 400),
            ("GET /ready HTTP/1.1\r\nHost: localhost\r\nhost: localhost", 400),
            ("rub bish", 400)):
        got = raw(served, line.encode() + b"\r\n\r\n")
        ok(got.split(b" ")[1:2] == [b"%d" % status],
           f"{line[:70]!r} is answered with {status}", got)
    headers = served.ask("")[1]
    ok("default-src 'none'" in headers["Content-Security-Policy"] and
       headers["X-Content-Type-Options"] == "nosniff" and
       "Access-Control-Allow-Origin" not in headers,
       "the page may only do what it needs")


def raw(served, data):
    """What comes back soon, or b"": half a request waits to be ended."""
    try:
        with socket.create_connection(("127.0.0.1", served.port), 20) as line:
            line.settimeout(1)
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
            return line.recv(4096)
    except OSError:
        return b""


def garbage(served):
    seed = int(os.environ.get("COPPICE_TEST_SEED", time.time_ns() % 10**6))
    chance = random.Random(seed)
    host = b"\r\nHost: localhost\r\n\r\n"
    print(f"# COPPICE_TEST_SEED={seed}")
    raw(served, b"GET /" + b"a" * 1000000 + b" HTTP/1.1" + host)
    raw(served, b"GET / HTTP/1.1\r\nX: " + b"a" * 100000 + host)
    raw(served, b"GET / HTTP/1.1" + b"\r\nX: y" * 10000 + host)
    raw(served, b"GET /search?text=\0\0 HTTP/1.1" + host)
    raw(served, b"\0" * 5000)
    raw(served, b"GET / HTTP/1.1\r\nHost: localhost\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n")
    good = b"GET /search?text=entity&k=3 HTTP/1.1" + host
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(chance.randrange(1, 6)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        raw(served, bytes(bad))
    lines = [socket.create_connection(("127.0.0.1", served.port))
             for _ in range(100)]
    ok(served.get("ready")[0] == 200,
       "after garbage, and beside a hundred silent connections, it answers")
    for line in lines:
        line.close()


def together(served):
    """Clients beside searches and commits of other processes."""
    loader = load(COPPICE, STORE, "e1")
    bad = []

    def client(number):
        for i in range(40):
            path = ("stats", "metrics", "search?like=e3", "graph?key=e0",
                    "search?text=entity", "health")[(number + i) % 6]
            got = served.ask(path)
            if got[0] != 200:
                bad.append((path, got))

    clients = [threading.Thread(target=client, args=(n,)) for n in range(8)]
    for one in clients:
        one.start()
    ok(coppice("compact", STORE).returncode == 0, "a store is compacted")
    for one in clients:
        one.join()
    loader.end()
    ok(not bad, "while eight clients are answered", bad[:2])
    ok(not loader.failed, "and others search and write", loader.failed[:2])
    ok(coppice("detach", STORE).returncode == 5, "it counts as attached")


def dies_and_comes_back():
    path = os.path.join(FOLDER, "socket")
    served = Served(COPPICE, STORE, "--unix", path)
    ok(coppice("serve", STORE, "--unix", path).returncode == 5,
       "a socket that answers is not taken away")
    served.process.kill()
    served.process.wait()
    served.process.stderr.close()
    ok(os.path.exists(path), "kill -9 leaves a socket")
    with Served(COPPICE, STORE, "--unix", path) as served:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(path)
            line.sendall(b"GET /ready HTTP/1.1\r\nHost: any\r\n\r\n")
            ok(line.recv(4096).startswith(b"HTTP/1.1 200"),
               "the next one takes its place, and answers")
        ok(served.end() == 0 and not os.path.exists(path),
           "SIGTERM ends it, and the socket is gone")


def tells_its_manager():
    path = os.path.join(FOLDER, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(path)
        line.settimeout(20)
        os.environ["NOTIFY_SOCKET"] = path
        with Served(COPPICE, STORE) as served:
            ok(line.recv(64) == b"READY=1", "systemd is told when it is ready")
            served.end()
            ok(line.recv(64) == b"STOPPING=1", "and when it stops")
        del os.environ["NOTIFY_SOCKET"]


def goes_bad():
    store = os.path.join(FOLDER, "moved")
    fill(COPPICE, store)
    with Served(COPPICE, store) as served:
        os.rename(store, store + "-away")
        status, said = served.get("health")
        ok(status == 503 and said["status"] == "unhealthy" and said["reasons"],
           "a store whose folder is gone is unhealthy, in words", said)
        os.rename(store + "-away", store)
        ok(served.get("health")[0] == 200, "and healthy when it is back")
        os.rename(store, store + "-away")
        os.mkdir(store)
        ok(until(lambda: served.get("ready")[0] == 503 and
                 served.get("health")[0] == 503),
           "a folder that is no store in its place: 503")
        os.rmdir(store)
        fill(COPPICE, store, count=7)
        ok(until(lambda: served.get("ready")[0] == 200 and served.get(
            "stats")[1]["figures"]["entities"] == 7),
           "a store that comes there is served")


def loses_its_segment(shm):
    """What logind does with a user's files at logout (RemoveIPC)."""
    store = os.path.join(FOLDER, "lost")
    fill(COPPICE, store, shm_dir=shm)
    other = subprocess.Popen([COPPICE, "mcp", store], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    other.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
    other.stdin.flush()
    other.stdout.readline()  # it is attached
    with Served(COPPICE, store) as served:
        shutil.rmtree(os.path.join(shm, os.listdir(shm)[0]))
        status, said = served.get("health")
        ok(status == 503 and said["status"] == "unhealthy" and
           "removed" in said["reasons"][0],
           "shared memory that is removed is unhealthy at once, in words", said)
        status, said = served.get("ready")
        ok(status == 503 and "removed" in said["error"], "nor is it ready", said)
        ok(until(lambda: "stop those" in str(served.get("health")[1])),
           "it is let go, and who has it still is to be stopped")
        status, said = served.get("ready")
        ok(status == 503 and "RemoveIPC" in said["error"], "as /ready says",
           said)
        other.communicate()
        ok(until(lambda: served.get("health")[0] == 200 and
                 served.get("ready")[0] == 200),
           "when that is gone the store is opened again")
        ok(coppice("tag", store, "e0", "--tag", "new").returncode == 0 and
           served.get("ready")[1]["commit"] == 2,
           "others write to it, which is seen")
    coppice("detach", store)


def mounted(name, size):
    """A small tmpfs, or None without the right to mount."""
    path = os.path.join(FOLDER, name)
    os.mkdir(path)
    done_by = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}",
                              "tmpfs", path], capture_output=True)
    return path if done_by.returncode == 0 else None


def is_full(name, claim):
    """Shared memory, or a disk, with less than a tenth of it free."""
    path = mounted(name, "64m")
    if not path:
        ok(True, f"{claim} # SKIP no right to mount")
        return
    store = os.path.join(FOLDER if name == "memory" else path, "kept")
    try:
        fill(COPPICE, store, shm_dir=path if name == "memory" else "/dev/shm")
        with Served(COPPICE, store) as served:
            ok(served.get("health")[0] == 200 and
               not served.get("health")[1]["reasons"], f"{name} has room")
            filler = os.path.join(path, "filler")
            there = os.statvfs(path)
            with open(filler, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, there.f_bavail *
                                   there.f_frsize - (2 << 20))
            status, said = served.get("health")
            ok(status == 200 and said["status"] == "degraded" and
               f"{path}" in said["reasons"][0] and
               "nearly full: 2 of 64 MiB free" in said["reasons"][0] and
               "Make room" in said["reasons"][0], claim, said)
            os.remove(filler)
            ok(not served.get("health")[1]["reasons"],
               "with room again it is healthy")
        coppice("detach", store)
        shutil.rmtree(store)
    finally:
        subprocess.run(["umount", path], check=True)


def until(holds):
    """Whether it comes to hold."""
    for _ in range(200):
        if holds():
            return True
        time.sleep(0.1)
    return False


def is_held_back():
    """A read that is kept waiting on a pipe, behind the newest commit."""
    store = os.path.join(FOLDER, "long")
    fill(COPPICE, store, count=3000, dim=0)
    scan = subprocess.Popen([COPPICE, "scan", store, "--json"],
                            stdout=subprocess.PIPE)
    scan.stdout.read(1)
    coppice("tag", store, "e0", "--tag", "new")
    os.environ["COPPICE_STALL_SECONDS"] = "0"
    with Served(COPPICE, store) as served:
        status, said = served.get("health")
        ok(status == 200 and said["status"] == "degraded" and
           "coppice readers" in said["reasons"][0],
           "a stalled read makes it degraded, which is no failure", said)
        ok([one["pid"] for one in served.get("stats")[1]["readers"]
            if one["state"] == "stalled"] == [scan.pid],
           "and /stats says whose it is")
    del os.environ["COPPICE_STALL_SECONDS"]
    scan.kill()
    scan.wait()
    scan.stdout.close()


def does_not_begin():
    ok(coppice("serve", FOLDER + "/none").returncode == 3, "no store: 3")
    for words in (["--listen", "9475"], ["--listen", ":9475"],
                  ["--listen", "127.0.0.1:99999"], ["--listen", "a.b:80"],
                  ["--listen", "::1:80"],
                  ["--listen", "127.0.0.1:0", "--unix", "x"]):
        got = coppice("serve", STORE, *words)
        ok(got.returncode == 2 and got.stderr, f"{words[1]} is refused: 2", got)
    with Served(COPPICE, STORE, "--listen", "0.0.0.0:0") as served:
        ok("warning: other machines" in served.said,
           "that others can reach it is warned about")
        taken = coppice("serve", STORE, "--listen", f"127.0.0.1:{served.port}")
        ok(taken.returncode == 5, "a port that is taken: 5", taken)
        served.process.send_signal(signal.SIGINT)
        ok(served.process.wait(30) == 0, "SIGINT ends it, too")


# ---- totals ----

def work_on(number, told):
    """Searches and puts until the pipe breaks or all is done."""
    key = f"w{number}"
    for _ in range(20):
        put = subprocess.run([COPPICE, "put", STORE], input=json.dumps(
            {"key": key, "vector": [1, 2, 3, number]}), text=True,
            capture_output=True)
        found = coppice("search", STORE, "--like", key)
        os.write(told, bytes([put.returncode == 0, found.returncode == 0]))


def value(text, name):
    return float(next(line.split()[-1] for line in text.splitlines()
                      if line.startswith(f"coppice_{name} ")))


def totals(served):
    """Eight workers, three of them killed: what they did is what is told."""
    read, told = os.pipe()
    before = served.ask("metrics")[2].decode()
    pids = []
    for number in range(8):
        pid = os.fork()
        if not pid:
            os.setpgid(0, 0)
            os.close(read)
            work_on(number, told)
            os._exit(0)
        pids.append(pid)
    os.close(told)
    seen = os.read(read, 12)
    for pid in pids[:3]:
        os.kill(-pid, signal.SIGKILL)
    with os.fdopen(read, "rb") as rest:
        seen += rest.read()
    for pid in pids:
        os.waitpid(pid, 0)
    after = served.ask("metrics")[2].decode()
    for what, done_by in (("searches_total", sum(seen[1::2])),
                          ("writes_total", sum(seen[0::2]))):
        grown = value(after, what) - value(before, what)
        ok(done_by <= grown <= done_by + 3,
           f"{what} grew by what eight workers did, three of them killed",
           (done_by, grown))
    ok(value(after, "writes_total") ==
       value(after, "commit_duration_seconds_count"),
       "and each write has its place in a bucket")


def exposed():
    path = os.path.join(FOLDER, "coppice.prom")
    got = coppice("metrics", STORE, "-o", path, "--label", 'a "b"\\c')
    ok(got.returncode == 0 and not got.stdout, "metrics go to a file", got)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    ok('coppice_entities{store="a \\"b\\"\\\\c"} ' in text,
       "whose samples say which store's they are")
    wrong = exposition.faults(text)
    ok(not wrong, "it holds to the rules", wrong)
    ok(os.listdir(FOLDER).count("coppice.prom") == 1 and
       not [name for name in os.listdir(FOLDER) if name.endswith(".partial")],
       "and nothing is left beside it")
    ok(coppice("metrics", STORE, "-o", "/none/x.prom").returncode == 2,
       "a folder that is not there: 2")
    wrong = exposition.promtool(text)
    ok(wrong in (None, ""), "promtool has nothing to say, or is not here",
       wrong)


fill(COPPICE, STORE, [KEY])
exposed()
does_not_begin()
with Served(COPPICE, STORE, "--listen", "127.0.0.1:0", "--host",
            "graph.example") as server:
    answers(server)
    finds(server)
    refuses(server)
    hosts(server)
    garbage(server)
    totals(server)
    together(server)
    ok(server.end() == 0, "SIGTERM ends it")
dies_and_comes_back()
tells_its_manager()
goes_bad()
with tempfile.TemporaryDirectory(prefix="coppice-test-",
                                 dir="/dev/shm") as folder:
    loses_its_segment(folder)
is_full("memory", "shared memory that is nearly full is degraded")
is_full("disk", "and so is a disk")
is_held_back()
done()
