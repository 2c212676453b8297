#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Servers of the example service under load, and what their workers take.

    hosts.py BUILD OUT [HOST...]

idea
    WordNet (117,659 vectors of 128 dimensions) in a store; each server with
    four workers; wrk asks for the ten nearest of random vectors with their
    properties, over 16 connections.  Beside it the same application with an
    hnswlib index and a dict of properties in each worker, in gunicorn too:
    what people do today.

    Memory is the workers' PSS once they are warm, summed up, and what a
    worker adds that nobody else has; the store's shared memory is in the sum.

needs
    what tools/deps load installs.
"""

import contextlib
import grp
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / sys.argv[1]
WORKERS = 4
SECONDS = 8
CONNECTIONS = 16
K = 10

sys.path.insert(0, str(BUILD / "python"))
import coppice  # noqa: E402


class Setting:
    """The store, the requests, and files for the peer, in a folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.store = str(self.folder / "store")
        self.create()
        subprocess.run([BUILD / "coppice-demo", "load", self.store],
                       check=True, stderr=subprocess.DEVNULL)
        os.chmod(folder, 0o755)
        with coppice.open(self.store) as store:
            self.write_requests(store)
            self.write_peer(store)

    def create(self):
        """As root, for www-data, too: php-fpm's workers are that."""
        more = {}
        if os.getuid() == 0:
            more = {"mode": 0o660, "group": grp.getgrnam("www-data").gr_gid}
        coppice.create(self.store, dim=128, **more)

    def write_requests(self, store):
        chance = random.Random(1)
        keys = list(store)
        bodies = [json.dumps({
            "k": K, "vector": [round(x, 5) for x in
                               store[chance.choice(keys)].vector.tolist()]})
            for _ in range(1000)]
        lua = ["bodies = {"] + [f"  {json.dumps(body)}," for body in bodies]
        lua += ["}", "local at = 0", "function request()",
                "  at = at % #bodies + 1",
                "  return wrk.format('POST', '/search',",
                "    {['Content-Type'] = 'application/json'}, bodies[at])",
                "end"]
        (self.folder / "wrk.lua").write_text("\n".join(lua))

    def write_peer(self, store):
        import hnswlib
        import numpy
        entities = list(store.entities())
        vectors = numpy.asarray([entity.vector for entity in entities])
        index = hnswlib.Index("cosine", vectors.shape[1])
        index.init_index(len(vectors), M=16, ef_construction=200)
        index.add_items(vectors, num_threads=2)
        index.save_index(str(self.folder / "peer.index"))
        (self.folder / "peer.json").write_text(json.dumps([
            [entity.key, entity.properties] for entity in entities]))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def server(setting, port, command, environment):
    log = open(setting.folder / "log", "w")
    process = subprocess.Popen(
        [str(word) for word in command], stdout=log, stderr=log, cwd=ROOT,
        env={**os.environ, "COPPICE_STORE": setting.store,
             "PEER_FOLDER": str(setting.folder), **environment},
        start_new_session=True)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(
                    f"http://127.0.0.1:{port}/entity?key=x", timeout=30)
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    break
            except OSError:
                time.sleep(0.1)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def descendants(pid):
    found = [pid]
    for one in found:
        run = subprocess.run(["ps", "-o", "pid=", "--ppid", str(one)],
                             text=True, capture_output=True)
        found += [int(word) for word in run.stdout.split()]
    return found[1:]


def memory_of(pid):
    """(PSS, what it has alone) in MB"""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    kb = {name: int(value) for name, value in
          re.findall(r"^(\w+): +(\d+) kB", text, re.M)}
    return kb["Pss"] / 1e3, (kb["Private_Clean"] + kb["Private_Dirty"]) / 1e3


def load(setting, port, seconds):
    run = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "--latency", "-s",
         setting.folder / "wrk.lua", f"http://127.0.0.1:{port}"],
        text=True, capture_output=True, check=True)
    unit = {"us": 1e-3, "ms": 1.0, "s": 1e3}

    def latency(name):
        value, of = re.search(rf"{name}%\s+([\d.]+)(us|ms|s)",
                              run.stdout).groups()
        return float(value) * unit[of]

    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", run.stdout)
    return {"requests_a_second":
            float(re.search(r"Requests/sec:\s+([\d.]+)", run.stdout)[1]),
            "median_ms": latency("50"), "p99_ms": latency("99"),
            "failed": int(bad[1]) if bad else 0}


def measure(setting, command, environment, port):
    with server(setting, port, command, environment) as pid:
        load(setting, port, 2)
        figures = load(setting, port, SECONDS)
        sums = [memory_of(one) for one in descendants(pid)]
        figures["processes"] = len(sums)
        figures["pss_mb"] = sum(pss for pss, _ in sums)
        figures["private_mb_a_worker"] = max(own for _, own in sums)
        return figures


def gunicorn(setting, port, module):
    return ["gunicorn", "--workers", WORKERS, "--bind", f"127.0.0.1:{port}",
            "--keep-alive", "5", module], \
        {"PYTHONPATH": f"{BUILD}/python:{ROOT}/tools/python/example:"
                       f"{ROOT}/tools/bench"}


def nginx(setting, port):
    prefix = setting.folder / "nginx"
    shutil.rmtree(prefix, ignore_errors=True)
    (prefix / "modules").mkdir(parents=True)
    module = "ngx_http_coppice_module.so"
    (prefix / "modules" / module).symlink_to(BUILD / "nginx" / module)
    (prefix / "nginx.conf").write_text(
        (ROOT / "tools/nginx/nginx.conf").read_text()
        .replace("127.0.0.1:18500", f"127.0.0.1:{port}")
        .replace("coppice_store store;", f"coppice_store {setting.store};"))
    command = ["nginx", "-p", prefix, "-c", "nginx.conf"]
    if os.getuid() == 0:
        command += ["-g", "user root;"]
    return command, {}


def php(setting, port):
    """As root its workers are www-data, who must come to the store."""
    run = setting.folder / "php"
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir()
    include = setting.folder / "include"
    if not include.exists():
        include.mkdir()
        for name in ("coppice.ffi.h", "libcoppice.so.0"):
            shutil.copy(BUILD / name, include)
        shutil.copytree(ROOT / "tools/php", setting.folder / "tools-php")
    return [setting.folder / "tools-php/example/serve", port, setting.store,
            run, include], {"LD_LIBRARY_PATH": str(include)}


def puma(setting, port):
    return ["puma", "-C", ROOT / "tools/ruby/example/puma.rb",
            ROOT / "tools/ruby/example/config.ru"], \
        {"RUBYLIB": str(ROOT / "tools/ruby/lib"), "PORT": str(port),
         "WORKERS": str(WORKERS),
         "COPPICE_LIBRARY": str(BUILD / "libcoppice.so.0")}


def node(setting, port):
    return ["node", ROOT / "tools/node/example/server.js"], \
        {"NODE_PATH": f"{BUILD}/node", "PORT": str(port),
         "WORKERS": str(WORKERS)}


HOSTS = {
    "gunicorn": lambda setting, port:
        gunicorn(setting, port, "wordnet:application"),
    "gunicorn, hnswlib in each worker": lambda setting, port:
        gunicorn(setting, port, "hosts_peer:application"),
    "nginx": nginx,
    "php-fpm behind nginx": php,
    "puma": puma,
    "node": node,
}


def main():
    out = ROOT / sys.argv[2]
    wanted = sys.argv[3:] or list(HOSTS)
    rows = []
    folder = tempfile.mkdtemp(prefix="coppice-hosts.")
    setting = Setting(folder)
    try:
        for host in wanted:
            port = free_port()
            command, environment = HOSTS[host](setting, port)
            if not shutil.which(command[0]):
                print(f"  {host}: {command[0]} is not installed")
                continue
            figures = measure(setting, command, environment, port)
            rows += [{"case": "wordnet", "system": host, "metric": name,
                      "value": value} for name, value in figures.items()]
            print(f"  {host}: " + ", ".join(
                f"{name} {value:,.1f}" for name, value in figures.items()),
                flush=True)
    finally:
        coppice.detach(setting.store)
        shutil.rmtree(folder)
    out.mkdir(parents=True, exist_ok=True)
    (out / "hosts.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
