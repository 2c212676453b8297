# SPDX-License-Identifier: Apache-2.0
"""The Python module: values, errors, lifetimes, threads, forks; TAP."""

import datetime
import doctest
import gc
import math
import multiprocessing
import os
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), os.pardir))

import coppice  # noqa: E402
from tap import done, ok, raises  # noqa: E402

try:
    import numpy
except ImportError:
    numpy = None

folder = tempfile.mkdtemp(dir=os.environ.get("TMPDIR"))
path = os.path.join(folder, "kg")


def values_come_back_as_they_were(store):
    properties = {
        "null": None, "yes": True, "no": False, "int": -(1 << 63), "zero": 0,
        "float": 0.1, "text": "über \0 alles", "empty": "", "list": [1, [2.5]],
        "map": {"a": {"b": None}}}
    content = bytes(range(256)) * 1000
    with store.write() as tx:
        tx.put("one", properties, type="kind", tags=["b", "a", "b"],
               content=content, vector=[1, 2, 3], more=7)
        tx.put(b"\xff\x00", {})
    entity = store["one"]
    ok(entity.properties == {**properties, "more": 7},
       "properties come back", entity.properties)
    ok((entity.type, sorted(entity.tags)) == ("kind", ["a", "b"]),
       "and type and tags", entity.tags)
    ok(bytes(entity.content) == content and entity.content_size == 256000 and
       entity.read_content(255998, 10) == b"\xfe\xff", "and content")
    raises(ValueError, "in no part of negative size", entity.read_content, 0,
           -1)
    ok(entity.vector.tolist() == [1, 2, 3] and entity.vector.format == "f",
       "and the vector")
    ok(b"\xff\0" in store and store[b"\xff\0"].key == b"\xff\0",
       "a key that is not UTF-8 is bytes")
    ok(dict(entity) == entity.properties and "int" in entity and
       entity.get("x", 5) == 5, "an entity is a mapping")
    with store.write() as tx:
        tx.put("one", {"new": 1}, content=coppice.KEEP)
    ok(bytes(store["one"].content) == content and
       store["one"].vector.tolist() == [1, 2, 3],
       "what is to be kept is kept")
    with store.write() as tx:
        tx.put("one", vector=None)
    ok(store["one"].vector is None and len(store["one"]) == 0,
       "and dropped what is to be dropped")
    ok("other" not in store and store.get("other") is None and
       len(store) == 2 and list(store) == ["one", b"\xff\0"],
       "a store is like a mapping")
    raises(KeyError, "with KeyError", lambda: store["other"])


def errors_have_classes(store):
    def put(*arguments, **keywords):
        with store.write() as tx:
            tx.put(*arguments, **keywords)

    raises(coppice.BadKeyError, "a key may not be empty", put, "")
    caught = raises(coppice.BadVectorError, "a vector has the dimension", put,
                    "k", vector=[1, 2])
    ok(isinstance(caught, (coppice.Error, ValueError)) and
       caught.code == -31002 and "3" in str(caught),
       "an error says which and why", caught)
    raises(coppice.BadVectorError, "no NaN", put, "k", vector=[1, 2, math.nan])
    raises(coppice.BadVectorError, "no zero", put, "k", vector=[0, 0, 0])
    raises(coppice.InvalidError, "nor in properties", put, "k", x=math.nan)
    raises(OverflowError, "no number of 65 bits", put, "k", x=1 << 64)
    raises(TypeError, "no object", put, "k", x=object())
    raises(TypeError, "no vector of words", put, "k", vector="abc")
    raises(ValueError, "no property deeper than 32", put, "k",
           x=eval("[" * 40 + "]" * 40))
    loop = []
    loop.append(loop)
    raises(ValueError, "nor without an end", put, "k", x=loop)
    with_edge = store.write()
    with_edge.put("k")
    with_edge.link("k", "to", "nobody")
    raises(coppice.DanglingError, "no edge to nobody", with_edge.commit)
    with_edge.abort()
    ok("k" not in store, "and nothing is half applied")
    raises(ValueError, "a write that is closed", with_edge.put, "k")
    raises(coppice.NotAStoreError, "no store", coppice.open, folder)
    raises(FileExistsError, "one is there already", coppice.create, path)
    raises(coppice.NotAStoreError, "no folder", coppice.open, folder + "/none/at/all")
    raises(ValueError, "no such metric", coppice.create, path + "2",
           metric="far")
    raises(coppice.InvalidError, "k is 1 or more", store.search, [1, 0, 0], 0)
    raises(coppice.Error, "and no more than a million", store.search,
           [1, 0, 0], 1 << 30)
    raises(ValueError, "a query has the dimension", store.search, [1, 0])
    raises(KeyError, "within what is not there", store.search, [1, 0, 0],
           within="nobody")
    raises(coppice.NoNameError, "no such relation", store.neighbors, "one",
           "unheard")
    raises(KeyError, "a walk from nobody", store.walk, "nobody")


def wrong_types_raise_and_nothing_else(store):
    """Every function with things that it does not take."""
    strange = [None, 0, -1, 1 << 70, 0.5, "", "x" * 1000, b"\xff", [], {}, (),
               [[]], [None], object(), math.nan, "one", [1, 2, 3],
               memoryview(b"abc"), bytearray(12), range(3)]
    if numpy is not None:
        strange += [numpy.zeros((2, 2, 2)), numpy.zeros(3, dtype="U3"),
                    numpy.zeros((0, 3), dtype="f4"),
                    numpy.zeros(6, dtype="f4")[::2], numpy.float32(1)]
    calls = 0
    with store.snapshot() as snapshot:
        tx = store.write()
        for target in (store, snapshot, tx, snapshot["one"], snapshot._read,
                       tx._write, store._store):
            for name in dir(target):
                call = getattr(target, name, None)
                if name.startswith("__") or not callable(call) or \
                        name in ("close", "commit", "abort", "_each",
                                 "_search", "checkpoint", "compact",
                                 "maintain"):
                    continue
                for first in strange:
                    for arguments in ((first,), (first, first),
                                      ("one", first), (first, 1, None),
                                      ("one", "one", first)):
                        calls += 1
                        try:
                            call(*arguments)
                        except Exception:
                            pass
        tx.abort()
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status
                    if line.startswith("VmHWM"))
    ok(peak < 500000, "no argument takes much memory", peak)
    ok(calls > 5000 and store["one"].id == 1,
       f"{calls} calls with strange arguments raise at most")


def searches_find(store):
    with store.write() as tx:
        for number in range(300):
            angle = number * math.tau / 300
            tx.put(f"p{number:03}", type="even" if number % 2 == 0 else "odd",
                   tags=["third"] if number % 3 == 0 else ["not", "other"],
                   vector=[math.cos(angle), math.sin(angle), 0.5])
            if number:
                tx.link(f"p{number - 1:03}", "next", f"p{number:03}",
                        {"step": number})
    query = [1, 0, 0.5]
    ok([hit.key for hit in store.search(query, 3)] == ["p000", "p001", "p299"],
       "the nearest come first")
    ok([hit.key for hit in store.search(query, 2, type="odd", tag="third")] ==
       ["p003", "p297"], "filters hold")
    ok([hit.key for hit in store.search(query, 9, within="p100", hops=2)] ==
       ["p098", "p099", "p100", "p101", "p102"], "within some hops")
    ok([hit.key for hit in store.search(
        query, 2, accept=lambda entity: entity.key > "p100")] ==
       ["p299", "p298"], "a test of one's own")
    raises(ZeroDivisionError, "what it raises comes out", store.search, query,
           2, accept=lambda entity: 1 / 0)
    ok(len(store.search(query, 100, threshold=0.01)) < 40, "a threshold")
    report = {}
    store.search(query, 1, strategy="scan", report=report)
    ok(report["strategy"] == "scan", "a report", report)
    ids, distances = store.search_many([query, [0, 1, 0.5]], 2, threads=2)
    ok([store.key(row[0]) for row in ids.tolist()] == ["p000", "p075"] and
       distances.shape == (2, 2), "many at once")
    raises(ValueError, "one search takes one vector", store.search,
           [query, query])
    raises(ValueError, "many take several", store.search_many, query)
    if numpy is not None:
        none = numpy.zeros((0, 3), dtype="f4")
        raises(ValueError, "and none is no vector", store.search, none)
        ok(store.search_many(none, 2)[0].shape == (0, 2), "but no many")
        rows = numpy.asarray([query, [0, 1, 0.5]], dtype="f4")
        again = numpy.asarray(store.search_many(rows, 2)[0])
        ok((again == numpy.asarray(ids)).all() and
           again.dtype == numpy.uint64, "and as arrays")
        lent = numpy.asarray(store["p007"].vector)
        ok(not lent.flags.writeable and not lent.flags.owndata and
           lent.dtype == numpy.float32, "a vector is lent, not copied")
        wide = numpy.asarray(query, dtype="f8")
        ok(store.search(wide, 1)[0].key == "p000" and
           store.search(rows.T[:, 0], 1)[0].key == "p000",
           "arrays of float64, and with strides, are taken, too")
    ok([step.key for step in store.walk("p010", 3)] ==
       ["p010", "p011", "p012", "p013"], "a walk")
    ok([step.key for step in store.path("p010", "p013")] ==
       ["p010", "p011", "p012", "p013"] and
       store.path("p013", "p010") == [], "a path")
    ok([(edge.target, edge.properties) for edge in store.edges("p010")] ==
       [("p011", {"step": 11})], "edges")
    ok(sum(1 for _ in store.select(type="even", all="third")) == 50 and
       sum(1 for _ in store.entities("p0")) == 100, "iterators")


def the_past_and_the_valid(store):
    before = store.snapshot().commit
    with store.write() as tx:
        tx.put("p000", changed=True)
        tx.link("p000", "held", "p001",
                valid=(datetime.datetime(2020, 1, 1), None))
    ok("changed" not in store.snapshot(as_of=before)["p000"] and
       store["p000"]["changed"], "as of a commit")
    ok("changed" in store.snapshot(datetime.datetime.now(
        datetime.timezone.utc))["p000"], "and of a time")
    raises(coppice.Error, "not of one to come", store.snapshot, 1 << 40)
    with store.snapshot() as snapshot:
        held = len(snapshot.edges("p000"))
        snapshot.valid_at(datetime.date(2019, 1, 1))
        ok(len(snapshot.edges("p000")) == held - 1, "what is valid then")


def what_is_lent_stays(store):
    snapshot = store.snapshot()
    entity = snapshot["p050"]
    vector = entity.vector
    wanted = vector.tolist()
    snapshot.close()
    raises(ValueError, "a closed snapshot says so", lambda: entity.key)
    with store.write() as tx:
        for number in range(300):
            tx.put_vector(f"p{number:03}", [number + 1, 1, 1])
    del snapshot, entity
    gc.collect()
    ok(vector.tolist() == wanted, "a view outlives its snapshot's close")
    other = coppice.open(path)
    lent = other["p050"].vector
    other.close()
    raises(ValueError, "a closed store says so", lambda: other["p050"])
    ok(lent.tolist() == [51, 1, 1], "and its store's")
    third = coppice.open(path)
    items = third.entities("p29")
    third.close()
    del third
    ok([entity.key for entity in items] == [f"p29{i}" for i in range(10)],
       "an iterator keeps its snapshot")


def updates_are_not_lost(store):
    def add(times):
        for _ in range(times):
            store.update("counter", lambda old: {"n": old.get("n", 0) + 1},
                         tries=10000)

    threads = [threading.Thread(target=add, args=(25,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ok(store["counter"]["n"] == 100, "four threads count to a hundred",
       store["counter"])
    tx = store.write()
    tx.expect("counter", 1)
    tx.put("counter", n=0)
    raises(coppice.ConflictError, "a conflict is told", tx.commit)
    tx.abort()


def threads_share(store):
    wrong = []
    snapshot = store.snapshot()

    def search(on):
        for number in range(300):
            try:
                hit = on.search([number % 300 + 1, 1, 1], 1)[0]
                if hit.key != f"p{number % 300:03}":
                    wrong.append(hit)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=search, args=(on,))
               for on in (store, store, snapshot, snapshot)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ok(not wrong, "threads share a store, and take turns with a snapshot",
       *wrong[:3])


def child(store, snapshot, pipe):
    found = [hit.key for hit in store.search([51, 1, 1], 1)]
    with store.write() as tx:
        tx.put(f"child-{os.getpid()}", born=True)
    try:
        snapshot["p000"]
        found.append("the parent's snapshot")
    except coppice.ForkedError:
        found.append("forked")
    del snapshot
    pipe.send((os.getpid(), found))


def children_attach(store):
    context = multiprocessing.get_context("fork")
    snapshot = store.snapshot()
    wrong = []
    for _ in range(3):
        here, there = context.Pipe()
        process = context.Process(target=child, args=(store, snapshot, there))
        process.start()
        pid, found = here.recv() if here.poll(30) else (0, None)
        process.join()
        if process.exitcode or found != ["p050", "forked"] or \
                f"child-{pid}" not in store:
            wrong.append((process.exitcode, found))
    ok(not wrong, "children search, write, and are told what is not theirs",
       *wrong)
    ok(snapshot["p000"].id > 0, "and the parent's stays its own")


class Evil:
    """A number that does something when it is taken."""

    def __init__(self, act):
        self.act = act

    def __float__(self):
        self.act()
        return 1.5


def code_of_the_callers_may_do_anything(store):
    wrong = []
    for number in range(200):
        items = ["a text of some length " * 3, None]

        def act():
            items[0] = "another text " * 5
            for _ in range(50):
                "x" * 66

        items[1] = Evil(act)
        with store.write() as tx:
            tx.put("evil", {"x": items, "y": {"z": items}})
        if store["evil"]["x"][0] != "a text of some length " * 3:
            wrong.append(store["evil"]["x"])
    ok(not wrong, "a list changed while it is put is put as it was",
       *wrong[:1])
    tx = store.write()
    raises(ValueError, "a write that is dropped while it is put to", tx.put,
           "evil", {"x": Evil(tx.abort)})
    with store.snapshot() as snapshot:
        query = [1, 1, 1]
        for claim, act in (
                ("search", lambda entity: snapshot.search(query, 3)),
                ("walk", lambda entity: snapshot.walk("p000")),
                ("move", lambda entity: snapshot.as_of(0))):
            raises(coppice.InvalidError, f"a test of a search may not {claim} "
                   "its snapshot", snapshot.search, query, 3, accept=act)
        near = [hit.key for hit in snapshot.search(query, 5)]
        ok([hit.key for hit in snapshot.search(
            query, 3, accept=lambda entity: entity.key in [
                hit.key for hit in store.search(query, 5)])] == near[:3],
           "but any other one")


def stores_close_under_threads():
    wrong = []

    def look(other):
        try:
            while True:
                other.get("p001")
        except ValueError:
            pass
        except BaseException as error:
            wrong.append(error)

    for _ in range(20):
        other = coppice.open(path)
        threads = [threading.Thread(target=look, args=(other,))
                   for _ in range(3)]
        for thread in threads:
            thread.start()
        other.maintain(budget=0.001)
        other.close()
        for thread in threads:
            thread.join()
    ok(not wrong, "a store closed under threads is closed for them", *wrong)


def a_fork_may_come_at_any_time(store):
    snapshot = store.snapshot()
    inside, go_on = threading.Event(), threading.Event()

    def test(entity):
        inside.set()
        go_on.wait(30)
        return True

    thread = threading.Thread(target=lambda: snapshot.search(
        [1, 1, 1], 1, accept=test))
    thread.start()
    inside.wait(30)
    pid = os.fork()
    if not pid:
        try:
            snapshot["p001"]
        except coppice.ForkedError:
            os._exit(0)
        os._exit(1)
    status = os.waitpid(pid, 0)[1]
    go_on.set()
    thread.join()
    ok(status == 0, "a child does not wait for a thread of its parent's")


def small_things(store):
    key = "x" + "日本" * 20
    tx = store.write()
    tx.expect(key, 1)
    caught = raises(coppice.ConflictError, "errors tell of any key", tx.commit)
    ok("日" in str(caught), "in words", caught)
    tx.abort()
    with store.write() as tx:
        tx.put("timed", type="kind", n=0)
        tx.tag("timed", "then", valid=(0, 100))
    store.update("timed", lambda old: {**old, "n": 1})
    with store.snapshot().valid_at(50) as then, \
            store.snapshot().valid_at(200) as later:
        ok(then["timed"].tags == ("then",) and later["timed"].tags == () and
           later["timed"].type == "kind", "an update keeps when a tag is valid")
    raises(TypeError, "and is no update without properties", store.update,
           "timed", lambda old: old.update(n=2))
    ok(store["timed"]["n"] == 1 and store["timed"], "and loses none")
    with store.write() as tx:
        tx.put("empty")
    ok(bool(store["empty"]), "an entity without properties is one")
    raises(ValueError, "no NUL in a path", coppice.open, path + "\0x")
    raises(ValueError, "none in a type", store.search, [1, 1, 1],
           type="even\0x")
    raises(ValueError, "none in a relation", store.neighbors, "p001", "next\0")
    raises(ValueError, "no vector without end", store.search, range(1 << 62))
    if numpy is not None:
        ok(store.key(numpy.uint64(store["p001"].id)) == "p001" and
           len(store.search([1, 1, 1], numpy.int32(2))) == 2,
           "numbers may be NumPy's")


def nothing_leaks(store):
    def resident():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status
                        if line.startswith("VmRSS"))

    def work():
        for number in range(3000):
            store.search([number % 300 + 1, 1, 1], 5, tag="other")
            entity = store["p007"]
            entity.properties, entity.tags, entity.vector, entity.content
            store.neighbors("p007")
            store.edges("p007")
            try:
                store.search([1], 5)
            except ValueError:
                pass
            tx = store.write()
            tx.put("x", {"a": [1, {"b": "c"}]}, tags=["t"], vector=[1, 2, 3])
            tx.abort()

    work()
    before = resident()
    for _ in range(4):
        work()
    ok(resident() - before < 2000, "twelve thousand rounds take no memory",
       before, resident())


def the_examples_run():
    failures, tried = doctest.testmod(coppice)
    ok(not failures and tried > 10, f"{tried} examples of the docstrings run")


def the_stubs_say_what_there_is():
    with open(os.path.join(os.path.dirname(coppice.__file__),
                           "__init__.pyi")) as file:
        stubs = file.read()
    names = [name for name in dir(coppice)
             if not name.startswith("_")]
    missing = [name for name in names
               if f"class {name}" not in stubs and f"def {name}" not in stubs
               and f"{name}:" not in stubs]
    for kind in (coppice.Store, coppice.Snapshot, coppice.Write,
                 coppice.Entity):
        missing += [f"{kind.__name__}.{name}" for name in vars(kind)
                    if not name.startswith("_")
                    and f"def {name}(" not in stubs]
    ok(not missing, "every public name has a stub", *missing)


coppice.create(path, dim=3)
with coppice.open(path, name="module test") as main:
    values_come_back_as_they_were(main)
    errors_have_classes(main)
    wrong_types_raise_and_nothing_else(main)
    searches_find(main)
    the_past_and_the_valid(main)
    what_is_lent_stays(main)
    updates_are_not_lost(main)
    threads_share(main)
    children_attach(main)
    code_of_the_callers_may_do_anything(main)
    stores_close_under_threads()
    a_fork_may_come_at_any_time(main)
    small_things(main)
    nothing_leaks(main)
gc.collect()
coppice.detach(path)
ok(True, "and nobody is attached any more")
the_examples_run()
the_stubs_say_what_there_is()
done()
