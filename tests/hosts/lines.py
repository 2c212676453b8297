# SPDX-License-Identifier: Apache-2.0
"""Puts tools/prefork, the C example, to the test: TAP without numbers.

    lines.py PORT
"""

import os
import signal
import socket
import sys
import threading
import time

from drive import CLIENTS, ENTITIES, KILLS, WAIT, entity, ok


def ask(line):
    """(lines, pid of the worker or None)"""
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), WAIT) as s:
        s.sendall(line.encode() + b"\n")
        with s.makefile() as file:
            lines = []
            for line in file:
                word, _, rest = line.rstrip("\n").partition(" ")
                if word == "ok":
                    return lines, int(rest)
                if word == "error":
                    return [rest], None
                lines.append(line.rstrip("\n"))
    raise ConnectionError("cut off")


def workers():
    found = set()
    until = time.monotonic() + WAIT
    while len(found) < 4 and time.monotonic() < until:
        found.add(ask(f"get {entity(1)['key']}")[1])
    return found


def load(state):
    number = 0
    while not state["stopped"]:
        number += 1
        wanted = entity(number % ENTITIES)
        try:
            if ask(f"get {wanted['key']}")[0] != [wanted["content"]]:
                state["failed"].append("wrong")
            if len(ask(f"like {wanted['key']} 3")[0]) != 3:
                state["failed"].append("few")
        except OSError as error:
            state["failed"].append(repr(error))


def main():
    good = ok(len(ask(f"like {entity(5)['key']}")[0]) == 10,
              "the ten nearest")
    good &= ok(all(ask(line)[1] is None for line in (
        "like nobody", "get nobody", "x", "", f"like {entity(5)['key']} 0",
        "put " + "a" * 500 + " text")), "what cannot be is refused")
    found = workers()
    good &= ok(len(found) >= 4, "four workers answer", found)
    ask("put fresh just added")
    seen = {}
    while len(seen) < 4:
        lines, pid = ask("get fresh")
        seen[pid] = lines
    good &= ok(all(lines == ["just added"] for lines in seen.values()),
               "what is added through one is found through each", seen)
    state = {"stopped": False, "failed": []}
    threads = [threading.Thread(target=load, args=(state,))
               for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for _ in range(KILLS):
        time.sleep(0.3)
        os.kill(found.pop() if found else workers().pop(), signal.SIGKILL)
    time.sleep(0.5)
    state["stopped"] = True
    for thread in threads:
        thread.join()
    good &= ok(len(state["failed"]) <= KILLS,
               "a killed worker takes what it had in flight, no more",
               *state["failed"][:5])
    good &= ok(len(workers()) >= 4, "and is replaced")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
