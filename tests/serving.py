# SPDX-License-Identifier: Apache-2.0
"""Stores to serve, and a `coppice serve` that runs; for tests in Python."""

import http.client
import json
import re
import subprocess
import threading


def fill(coppice, store, keys=(), count=100, dim=4, shm_dir="/dev/shm"):
    """Makes a store of the keys and of e0, e1, ...; all know the first ones."""
    subprocess.run([coppice, "init", store, "--dim", str(dim), "--shm-dir",
                    shm_dir], check=True, stdout=subprocess.DEVNULL)
    names = [*(f"e{i}" for i in range(count)), *keys]
    lines = []
    for i, name in enumerate(names):
        one = {"key": name, "type": ("person", "paper", "place")[i % 3],
               "tags": ["some"], "properties": {"name": f"entity {i}"}}
        if dim:
            one["vector"] = [1 + (i * (j + 3)) % 17 for j in range(dim)]
        lines.append(one)
    for i, name in enumerate(names):
        lines.append({"source": name, "relation": "knows",
                      "target": names[i // 4]})
        lines.append({"source": names[i * 7 % len(names)],
                      "relation": "cites", "target": name})
    subprocess.run([coppice, "import", store, "-", "--format", "ndjson"],
                   input="\n".join(map(json.dumps, lines)), text=True,
                   check=True, capture_output=True)


class Served:
    """`coppice serve` on a free port, or with arguments of one's own."""

    def __init__(self, coppice, store, *arguments):
        self.store = store
        self.process = subprocess.Popen(
            [coppice, "serve", store,
             *(arguments or ("--listen", "127.0.0.1:0"))],
            stderr=subprocess.PIPE, text=True)
        self.said = ""
        while "serving" not in self.said:
            line = self.process.stderr.readline()
            if not line:
                raise RuntimeError(self.said)
            self.said += line
        self.url = re.findall(r"on (\S+)$", self.said.strip())[-1]
        self.port = int(self.url.split(":")[-1].strip("/")) \
            if self.url.startswith("http") else 0

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(self, path, method="GET", headers=None, body=None):
        """The status, the headers and the bytes of the answer."""
        connection = self.connect()
        try:
            connection.request(method, "/" + path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path, **how):
        """The status and the JSON of the answer."""
        status, _, body = self.ask(path, **how)
        return status, json.loads(body)

    def end(self):
        """Ends it as a service manager does; its exit status."""
        self.process.terminate()
        code = self.process.wait(timeout=30)
        self.process.stderr.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.returncode is None:
            self.end()


class load:
    """Searches and commits, in processes of their own, until end()."""

    def __init__(self, coppice, store, key):
        self.goes_on = True
        self.failed = []
        self.threads = [
            threading.Thread(target=self.go, args=([coppice, *words],))
            for words in (["search", store, "--like", key, "--json"],
                          ["tag", store, key, "--tag", "seen"])]
        for thread in self.threads:
            thread.start()

    def go(self, words):
        while self.goes_on:
            ended = subprocess.run(words, capture_output=True, text=True)
            if ended.returncode not in (0, 1):
                self.failed.append(ended.stderr)

    def end(self):
        self.goes_on = False
        for thread in self.threads:
            thread.join()
