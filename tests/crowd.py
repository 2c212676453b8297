# SPDX-License-Identifier: Apache-2.0
"""`coppice serve` beside clients that are slow; TAP.  crowd.py COPPICE FOLDER"""

import json
import os
import socket
import subprocess
import sys
import threading
import time

from serving import Served, fill
from tap import done, ok

COPPICE, FOLDER = sys.argv[1:3]
STORE = os.path.join(FOLDER, "store")
HEAD = b"GET /ready HTTP/1.1\r\nHost: localhost\r\n"
SHARE = 64  # of one address, and ROOM of all
ROOM = 192


def line(served, host="127.0.0.1"):
    """A connection from an address of the loopback."""
    return socket.create_connection(("127.0.0.1", served.port), 20, (host, 0))


def is_closed(one):
    """Whether the server has closed it; it is not read from else."""
    one.setblocking(False)
    try:
        return not one.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def until(holds):
    """Whether it comes to hold."""
    for _ in range(300):
        if holds():
            return True
        time.sleep(0.1)
    return False


class Crowd:
    """Clients that never end their request; some send a byte now and then."""

    def __init__(self, served, hosts, count):
        self.goes_on = True
        self.lines = []
        self.thread = threading.Thread(target=self.drip)
        self.thread.start()
        try:
            for i in range(count):
                one = line(served, hosts[i % len(hosts)])
                if i % 2:
                    one.sendall(HEAD)
                self.lines.append(one)
        except OSError as error:  # nobody takes it
            print(f"# {i} are connected: {error}")

    def drip(self):
        while self.goes_on:
            for one in self.lines[1::2]:
                try:
                    one.sendall(b"X")
                except OSError:
                    pass
            time.sleep(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.goes_on = False
        self.thread.join()
        for one in self.lines:
            one.close()


def answered(served, claim):
    """Eight times each, over connections of their own."""
    try:
        got = [served.ask(path)[0] for path in ("health", "ready") * 8]
    except OSError as error:
        got = error
    ok(got == [200] * 16, claim, got)


def beside_one_address(served):
    with Crowd(served, ["127.0.0.1"], 600) as crowd:
        answered(served, "beside 600 slow clients of the same address it is "
                 "answered")
        ok(until(lambda: sum(map(is_closed, crowd.lines)) >= 600 - SHARE),
           "an address keeps its share of connections, no more")
        ok(all(map(is_closed, crowd.lines[:100])),
           "those that have been slow for longest went")


def beside_many(served):
    hosts = [f"127.0.0.{i}" for i in range(2, 32)]
    with Crowd(served, hosts, 600) as crowd:
        answered(served, "beside as many of thirty addresses, too")
        ok(until(lambda: sum(map(is_closed, crowd.lines)) >= 600 - ROOM),
           "there is room at any time")


def leaves_others_alone(served):
    quiet = line(served, "127.0.0.9")
    with Crowd(served, ["127.0.0.1"], 300):
        ok(not is_closed(quiet), "a crowd of one address closes none of "
           "another's connections")
    quiet.close()


def keeps_who_asks(served):
    """A connection that is used goes on while slow ones go."""
    kept = served.connect()
    kept.connect()
    good = 0
    with Crowd(served, ["127.0.0.1"], 40):
        for _ in range(50):
            with line(served) as slow:
                slow.sendall(HEAD)
                kept.request("GET", "/ready")
                good += kept.getresponse().read().startswith(b"{")
    ok(good == 50, "who asks and is answered keeps the connection", good)
    kept.close()


def on_a_unix_socket():
    path = os.path.join(FOLDER, "socket")
    lines = []
    with Served(COPPICE, STORE, "--unix", path):
        for _ in range(400):
            one = socket.socket(socket.AF_UNIX)
            one.connect(path)
            one.sendall(HEAD)
            lines.append(one)
        with socket.socket(socket.AF_UNIX) as asks:
            asks.connect(path)  # which may wait for its turn
            asks.settimeout(20)
            asks.sendall(HEAD + b"\r\n")
            ok(asks.recv(4096).startswith(b"HTTP/1.1 200"),
               "beside 400 on a unix socket, as well")
    for one in lines:
        one.close()


def sockets(served):
    """How many the server has open."""
    folder = f"/proc/{served.process.pid}/fd"
    count = 0
    for name in os.listdir(folder):
        try:
            count += os.readlink(f"{folder}/{name}").startswith("socket:")
        except OSError:
            pass
    return count


def is_patient(served):
    """With a second for each request."""
    before = sockets(served)
    with line(served) as slow, line(served) as silent:

        def drip():
            try:
                slow.sendall(b"X")
            except OSError:
                return True
            return is_closed(slow)

        slow.sendall(HEAD)
        ok(until(drip), "a request that comes byte by byte is not waited for")
        ok(until(lambda: is_closed(silent)), "nor one that never comes")
    with line(served) as greedy:
        greedy.settimeout(1)
        try:  # until neither side has room
            while True:
                greedy.sendall(HEAD.replace(b"ready", b"stats") + b"\r\n")
        except OSError:
            pass
        ok(until(lambda: sockets(served) == before),
           "who asks much and reads nothing is closed")
    ok(served.get("ready")[0] == 200, "and others are answered")


def searches():
    """Of forty that look at every word, how many end before /health is asked
    and answered, and what became of them."""
    store = os.path.join(FOLDER, "words")
    fill(COPPICE, store, count=0, dim=0)
    subprocess.run(
        [COPPICE, "import", store, "-", "--format", "ndjson"], text=True,
        input="\n".join(json.dumps({
            "key": f"k{i}", "content": f"entity {i} of some words " * 38})
            for i in range(20000)), check=True, capture_output=True)
    ended = []

    def search(served):
        ended.append(served.ask("search?text=nowhere")[0])

    with Served(COPPICE, store) as served:
        for _ in range(5):  # if this process is given no time
            ended.clear()
            threads = [threading.Thread(target=search, args=(served,))
                       for _ in range(40)]
            for thread in threads:
                thread.start()
            time.sleep(0.1)
            status = served.get("health")[0]
            early = ended.count(200)
            for thread in threads:
                thread.join()
            if not early:
                break
        ok(status == 200 and not early,
           "beside forty long searches /health is answered", status, early)
        ok(set(ended) == {200, 503},
           "what is too much at once is refused", ended)
        ok(served.ask("search?text=nowhere")[0] == 200, "and later is not")


def patience(word):
    with Served(COPPICE, STORE, "--listen", "127.0.0.1:0", "--patience",
                word) as served:
        is_patient(served)


fill(COPPICE, STORE)
with Served(COPPICE, STORE) as server:
    beside_one_address(server)
    beside_many(server)
    leaves_others_alone(server)
    keeps_who_asks(server)
    ok(server.end() == 0, "it ends when it is told to")
on_a_unix_socket()
patience("1s")
searches()
done()
