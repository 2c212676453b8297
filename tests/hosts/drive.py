#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Puts a server of the example service to the test, whatever it is made with.

    drive.py data                   prints entities and edges as JSON lines
    drive.py serve --url URL --store STORE [--reload COMMAND] [--inflight N]
                    [--large]

The server has four workers or more and names them in the header X-Worker.
Prints lines of TAP without numbers: `ok - claim` and `not ok - claim`.

claims
    answers are those of the command; bad requests are refused and nothing is
    half applied, mutated bodies too; what is added through one worker is found through each; a
    worker that is killed takes with it what it had in flight (N requests) and
    nothing else; a reload under load fails no request; afterwards no reader's
    slot is left taken.
"""

import argparse
import collections
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

DIM = 32
ENTITIES = 400
WORDS = "ash beech cedar elm fir hazel larch maple oak pine".split()
CLIENTS = 8
KILLS = 6
WAIT = 30.0


def ok(good, claim, *remarks):
    """A claim, for host_claims of host.sh; returns whether it holds."""
    print(f"{'ok' if good else 'not ok'} - {claim}", flush=True)
    for remark in remarks if not good else ():
        print(f"# {str(remark)[:300]!r}", flush=True)
    return bool(good)


def entity(number):
    chance = random.Random(number)
    return {
        "key": f"{WORDS[number % len(WORDS)]}.n.{number:05}",
        "type": "noun" if number % 2 else "verb",
        "tags": [f"tenth-{number % 10}"],
        "properties": {"number": number, "name": WORDS[number % len(WORDS)]},
        "content": f"the gloss of number {number}",
        "vector": [round(chance.gauss(0, 1), 6) for _ in range(DIM)],
    }


def print_data():
    for number in range(ENTITIES):
        print(json.dumps(entity(number)))
    for number in range(ENTITIES):
        for step in (1, 7):
            print(json.dumps({
                "source": entity(number)["key"], "relation": f"by-{step}",
                "target": entity((number + step) % ENTITIES)["key"]}))


class Server:
    """Requests; each has a connection of its own, so that any worker may be
    asked."""

    def __init__(self, url):
        self.address = urllib.parse.urlsplit(url).netloc

    def ask(self, method, path, body=None, kind="application/json"):
        """(status, answer, worker)"""
        connection = http.client.HTTPConnection(self.address, timeout=WAIT)
        try:
            headers = {"Connection": "close"}
            if body is not None:
                headers["Content-Type"] = kind
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            try:
                parsed = json.loads(text)
            except ValueError:
                parsed = text
            return answer.status, parsed, answer.getheader("X-Worker")
        finally:
            connection.close()

    def get(self, path, **arguments):
        return self.ask("GET", path + "?" + urllib.parse.urlencode(arguments))

    def post(self, path, body):
        return self.ask("POST", path, json.dumps(body))

    def workers(self, least):
        """The pids of its workers, at least so many."""
        found = set()
        until = time.monotonic() + WAIT
        while time.monotonic() < until:
            threads = [threading.Thread(target=lambda: found.add(
                self.get("/search", q="oak", k=3)[2])) for _ in range(CLIENTS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if len(found) >= least:
                break
        return {int(worker) for worker in found if worker}


class Load:
    """Clients that ask for what they know the answer of, until stopped."""

    def __init__(self, server):
        self.server = server
        self.failed = []
        self.done = 0
        self.stopped = False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(number,))
                        for number in range(CLIENTS)]

    def run(self, seed):
        chance = random.Random(seed)
        while not self.stopped:
            wanted = entity(chance.randrange(ENTITIES))
            try:
                if chance.random() < 0.5:
                    status, answer, _ = self.server.get("/entity",
                                                        key=wanted["key"])
                    good = status == 200 and \
                        answer["content"] == wanted["content"]
                else:
                    status, answer, _ = self.server.post(
                        "/search", {"vector": wanted["vector"], "k": 3})
                    good = status == 200 and \
                        answer["hits"][0]["key"] == wanted["key"]
                problem = None if good else f"{status} {answer!r}"
            except (OSError, http.client.HTTPException) as error:
                problem = repr(error)
            with self.lock:
                self.done += 1
                if problem:
                    self.failed.append(problem)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.stopped = True
        for thread in self.threads:
            thread.join()


class Trial:
    def __init__(self, options):
        self.options = options
        self.server = Server(options.url)
        self.command = os.environ.get("COPPICE", "coppice")
        self.is_good = True

    def ok(self, good, claim, *remarks):
        self.is_good &= ok(good, claim, *remarks)

    def coppice(self, *arguments):
        """What the command prints, lines of JSON."""
        run = subprocess.run([self.command, *arguments], text=True,
                             capture_output=True, check=False)
        return [json.loads(line) for line in run.stdout.splitlines()]

    # What it answers.

    def answers(self):
        bad = []
        for number in (0, 7, 123, ENTITIES - 1):
            wanted = entity(number)
            key = wanted["key"]
            status, answer, _ = self.server.get("/entity", key=key)
            around = {(WORDS[(number + step) % len(WORDS)], direction)
                      for step, direction in ((1, "out"), (7, "out"))}
            if status != 200 or any(answer[name] != wanted[name] for name in (
                    "key", "type", "tags", "properties", "content")):
                bad.append((key, status, answer))
            elif not around <= {(near["key"].split(".")[0], near["direction"])
                                for near in answer["neighbors"]}:
                bad.append((key, answer["neighbors"]))
            hits = self.server.post("/search", {"vector": wanted["vector"],
                                                "k": 6})[1]["hits"]
            truth = self.coppice("search", self.options.store, "--like", key,
                                 "-k", "5", "--json")
            if [hit["key"] for hit in hits] != \
                    [key] + [hit["key"] for hit in truth]:
                bad.append((key, hits, truth))
            hits = self.server.post(
                "/search", {"vector": wanted["vector"], "k": 6,
                            "type": "verb", "tag": "tenth-4"})[1]["hits"]
            if len(hits) != 6 or \
                    any(int(hit["key"].split(".")[2]) % 10 != 4
                        for hit in hits):
                bad.append((key, "filtered", hits))
        self.ok(not bad, "entities and hits are those of the command", *bad)
        status, answer, _ = self.server.get("/search", q="Oak elm", k=5)
        self.ok(status == 200 and len(answer["hits"]) == 5,
                "a search by words has hits", status, answer)
        status, answer, _ = self.server.get("/search", q="qwertz")
        self.ok(status == 200 and answer == {"hits": []},
                "and by words that nobody knows none", status, answer)

    def refusals(self):
        vector = entity(0)["vector"]
        asked = [
            (404, self.server.get("/entity", key="nobody")),
            (400, self.server.get("/entity")),
            (404, self.server.get("/nothing")),
            (405, self.server.ask("DELETE", "/search")),
            (400, self.server.ask("POST", "/search", "{\"vector\":[1,")),
            (400, self.server.post("/search", {"vector": vector[:-1]})),
            (400, self.server.post("/search", {"vector": "many"})),
            (400, self.server.post("/search", {"vector": vector, "k": 0})),
            (400, self.server.post("/search", {"vector": vector, "k": 1e9})),
            (400, self.server.post("/search", {"vector": vector, "k": "x"})),
            (400, self.server.post("/search", [])),
            (400, self.server.post("/add", {"type": "noun"})),
            (400, self.server.post("/add", {"key": "a" * 481})),
            (400, self.server.post("/add", {
                "key": "half", "vector": vector[:-1]})),
            (400, self.server.post("/add", {
                "key": "half", "vector": vector,
                "edges": [{"relation": "to", "target": "nobody"}]})),
            (404, self.server.get("/entity", key="half")),
            (404, self.server.get("/entity", key="\0\xff")),
        ]
        bad = [(wanted, got) for wanted, got in asked
               if got[0] != wanted or "error" not in got[1]]
        self.ok(not bad, "what cannot be is refused, with a reason", *bad)
        status, _, worker = self.server.get("/entity", key=entity(3)["key"])
        self.ok(status == 200 and worker, "and it serves on", status, worker)

    def rubbish(self):
        nested = "[" * 50 + "]" * 50, "[" * 9999 + "]" * 9999
        bodies = [
            b"", b"null", b"[]", b"{", b"\xff", '{"key":5}', '{"key":""}',
            '{"key":"k","tags":[1]}', '{"key":"k","tags":{"a":1}}',
            '{"key":"k","properties":[1]}', '{"key":"k","properties":{"":1}}',
            '{"key":"k","properties":{"n":1e999}}', '{"key":"k","content":5}',
            f'{{"key":"k","properties":{{"n":{nested[0]}}}}}',
            f'{{"key":"k","properties":{{"n":{nested[1]}}}}}',
            '{"key":"k","vector":[]}', '{"key":"k","vector":"abcd"}',
            '{"key":"k","vector":[true]}', '{"key":"k","vector":[1e39]}',
            '{"key":"k","edges":[1]}', '{"key":"k","edges":{"relation":"r"}}',
            f'{{"key":"k","edges":[{{"relation":"","target":'
            f'"{entity(0)["key"]}"}}]}}']
        paths = ["/search?q=oak&k=0", "/search?q=oak&k=1001",
                 "/search?q=oak&k=", "/search?q=oak&k=1e2", "/entity?key=",
                 "/entity?key=" + "a" * 481]
        bad = [(got, body[:60]) for got, body in (
            (self.server.ask("POST", "/add", body), body)
            for body in bodies) if got[0] != 400]
        bad += [(got, path) for got, path in (
            (self.server.ask("GET", path), path)
            for path in paths) if got[0] != 400]
        bad += [got for got in (self.server.get("/entity", key="k"),)
                if got[0] != 404]
        self.ok(not bad, "what is no entity and no question is refused", *bad)
        key = "\0 \u00e9\U0001f333"
        properties = {"p": [key, -0.5, 1, None, {}, [], {"0": 1}], "1": True}
        self.server.post("/add", {"key": key, "properties": properties})
        got = self.server.get("/entity", key=key)
        self.ok(got[0] == 200 and got[1]["key"] == key and
                got[1]["properties"] == properties,
                "text comes back as it was", got)
        chance = random.Random(7)
        seed = json.dumps({
            "key": "fuzz", "type": "t", "tags": ["a"], "vector": [0.5] * DIM,
            "properties": {"p": {"q": [1, 2.5]}},
            "edges": [{"relation": "r", "target": entity(0)["key"]}]}).encode()
        odd = []
        for _ in range(200):
            body = bytearray(seed)
            for _ in range(chance.randrange(1, 6)):
                at = chance.randrange(len(body))
                if chance.random() < 0.5:
                    body[at] = chance.randrange(256)
                else:
                    del body[at:at + chance.randrange(1, 30)]
            got = self.server.ask("POST", chance.choice(["/add", "/search"]),
                                  bytes(body))
            if got[0] not in (200, 400):
                odd.append((got, bytes(body)))
        self.ok(not odd, "200 bodies with errors are refused or taken",
                *odd[:3])

    def large(self):
        """Bodies up to a limit of 25 MB, content up to the store's."""
        def add(name, **more):
            return self.server.post("/add", {"key": name, **more})

        ask = self.server.ask
        bad = [(wanted, got) for wanted, got in (
            (200, add("large", content="x" * 10_000_000)),
            (400, add("larger", content="x" * 17_000_000)),
            (400, add("many", properties={"list": [1.5] * 2_000_000})),
            (400, self.server.post("/search", {"vector": [1.5] * 2_000_000})),
            (400, ask("POST", "/search", b"[" * 10_000_000)),
            (413, ask("POST", "/search", b"x" * 25_500_000)))
            if got[0] != wanted]
        self.ok(not bad, "bodies of 10 MB and more are taken or refused", *bad)
        got = self.server.get("/entity", key="large")
        self.ok(got[0] == 200 and len(got[1]["content"]) == 10_000_000,
                "and come back")

    def news(self):
        workers = self.server.workers(4)
        self.ok(len(workers) >= 4, "four workers answer", workers)
        late = []
        for number in range(8):
            key = f"news.n.{number:05}"
            status, answer, writer = self.server.post("/add", {
                "key": key, "type": "news", "tags": ["new"],
                "properties": {"number": number}, "content": "news",
                "vector": entity(9000 + number)["vector"],
                "edges": [{"relation": "about", "target": entity(0)["key"]}]})
            if status != 200 or not answer.get("commit"):
                late.append((key, status, answer))
            seen = {int(writer or 0)}
            until = time.monotonic() + WAIT
            while not workers <= seen and time.monotonic() < until:
                status, answer, worker = self.server.post("/search", {
                    "vector": entity(9000 + number)["vector"], "k": 1})
                if status != 200 or answer["hits"][0]["key"] != key:
                    late.append((key, worker, answer))
                seen.add(int(worker))
            if not workers <= seen:
                late.append((key, "not all workers were met", seen))
        self.ok(not late, "what is added through one is found through each",
                *late)

    # What it bears.

    def kills(self):
        killed = 0
        with Load(self.server) as load:
            for _ in range(KILLS):
                time.sleep(0.4)
                workers = self.server_workers_quietly()
                if workers:
                    os.kill(workers.pop(), signal.SIGKILL)
                    killed += 1
            time.sleep(0.8)
        allowed = killed * self.options.inflight
        # The requests that look for a worker are met by a kill, too.
        self.ok(killed == KILLS and len(load.failed) <= allowed,
                f"{killed} workers killed, no request lost but those in "
                "flight", f"{len(load.failed)} of {load.done} failed",
                *load.failed[:5])
        self.ok(len(self.server.workers(4)) >= 4, "and four are there again")

    def server_workers_quietly(self):
        try:
            return {int(self.server.get("/search", q="oak", k=1)[2])}
        except (OSError, http.client.HTTPException, TypeError):
            return set()

    def reloads(self):
        if not self.options.reload:
            return
        before = self.server.workers(4)
        with Load(self.server) as load:
            time.sleep(0.5)
            subprocess.run(self.options.reload, shell=True, check=True,
                           stdout=subprocess.DEVNULL)
            until = time.monotonic() + WAIT
            after = self.server.workers(4)
            while after & before and time.monotonic() < until:
                after = self.server.workers(4)
            time.sleep(0.5)
        self.ok(not load.failed, "a reload under load fails no request",
                f"{len(load.failed)} of {load.done} failed", *load.failed[:5])
        self.ok(not after & before, "and all workers are new ones", before,
                after)

    def slots(self):
        status, answer, _ = self.server.post("/add", {"key": "last"})
        taken = collections.Counter()
        until = time.monotonic() + WAIT
        while time.monotonic() < until:
            readers = self.coppice("readers", self.options.store, "--all",
                                   "--json")
            gone = [reader for reader in readers
                    if not os.path.exists(f"/proc/{reader['pid']}")]
            taken = collections.Counter(
                reader["pid"] for reader in readers)
            if not gone:
                break
            self.server.post("/add", {"key": "last"})
            time.sleep(0.2)
        self.ok(status == 200 and not gone,
                "no slot is left of those that are gone", status, answer, gone)
        self.ok(max(taken.values(), default=0) <= self.options.slots,
                "and nobody has more of them than it has threads", taken)

    def run(self):
        self.answers()
        self.refusals()
        self.rubbish()
        if self.options.large:
            self.large()
        self.news()
        self.kills()
        self.reloads()
        self.slots()
        return 0 if self.is_good else 1


def main():
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("data")
    serve = verbs.add_parser("serve")
    serve.add_argument("--url", required=True)
    serve.add_argument("--store", required=True)
    serve.add_argument("--reload")
    serve.add_argument("--inflight", type=int, default=1)
    serve.add_argument("--large", action="store_true")
    serve.add_argument("--slots", type=int, default=4)
    options = parser.parse_args()
    if options.verb == "data":
        return print_data()
    return Trial(options).run()


if __name__ == "__main__":
    sys.exit(main())
