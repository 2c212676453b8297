# SPDX-License-Identifier: Apache-2.0
"""One knowledge graph with vectors, shared by all processes of a machine.

>>> import coppice, os, tempfile
>>> folder = tempfile.mkdtemp()
>>> path = os.path.join(folder, "kg")
>>> coppice.create(path, dim=3)
>>> store = coppice.open(path)

Write all or nothing:

>>> with store.write() as tx:
...     tx.put("ada", type="person", tags=["math"], born=1815,
...            vector=[1, 0, 0])
...     tx.put("grace", type="person", vector=[0.9, 0.1, 0])
...     tx.link("ada", "knows", "grace")

Read what everybody has committed:

>>> store["ada"]["born"]
1815
>>> [hit.key for hit in store.search([1, 0, 0], k=2)]
['ada', 'grace']
>>> store.neighbors("ada")
[Neighbor(key='grace', relation='knows', direction='out')]

A snapshot stays as it is, whatever others commit meanwhile:

>>> with store.snapshot() as snapshot:
...     with store.write() as tx:
...         tx.delete("grace")
...     "grace" in snapshot, "grace" in store
(True, False)
>>> store.close(); coppice.detach(path)
>>> import shutil; shutil.rmtree(folder)

A store may be opened before a fork (gunicorn --preload, uWSGI, multiprocessing)
and used in the children: each attaches by itself at its first call.  Any number
of threads may use a store; the GIL is released while it searches.
"""

import datetime as _datetime
from collections import namedtuple as _namedtuple
from collections.abc import Mapping as _Mapping
from os import fspath as _fspath
from os import register_at_fork as _register_at_fork

from . import _coppice
from ._coppice import (  # noqa: F401
    BadKeyError, BadTextError, BadVectorError, BusyError, ConflictError,
    CorruptError, DanglingError, DeniedError, Edge, Error, ExistsError,
    ForeignError, ForkedError, Hit, InvalidError, MovedError, NoNameError,
    NoSpaceError, NotAStoreError, ReadOnlyError, StalledError, Step,
    StoppedError, TooLargeError, TooOldError, UnknownError, VersionError, cpu,
    version)

__version__ = version
_register_at_fork(after_in_child=_coppice.forked)

Neighbor = _namedtuple("Neighbor", "key relation direction")

_METRICS = {"cosine": 1, "l2": 2, "ip": 3}
_ROWS = {"f16": 0, "f32": 1}
_CODES = {"auto": 0, "u8": 1, "f16": 2, "bf16": 3, "f32": 4, "b1": 5}
_HISTORY = {"age": 0, "all": 1, "none": 2}
_STRATEGIES = {"auto": 0, "scan": 1, "hnsw": 2, "lsh": 3, "hierarchical": 4,
               "kdtree": 5}
_DIRECTIONS = {"out": 1, "in": 2, "both": 3}
_DANGLING = {"reject": 0, "stub": 1, "skip": 2}
_FOREVER = (1 << 63) - 1
_EPOCH = _datetime.datetime(1970, 1, 1, tzinfo=_datetime.timezone.utc)


def _choice(table, name, what):
    try:
        return table[name]
    except KeyError:
        raise ValueError(f"no {what} {name!r}; there are "
                         + ", ".join(table)) from None


def _tuple(names):
    """Names of one argument: a str is one of them."""
    if names is None:
        return None
    return (names,) if isinstance(names, str) else tuple(names)


def _instant(when):
    """(seconds, nanoseconds) of a datetime (naive: UTC) or a number of
    seconds since 1970."""
    if isinstance(when, _datetime.datetime):
        if when.tzinfo is None:
            when = when.replace(tzinfo=_datetime.timezone.utc)
        delta = when - _EPOCH
        return delta.days * 86400 + delta.seconds, delta.microseconds * 1000
    if isinstance(when, _datetime.date):
        return (when - _EPOCH.date()).days * 86400, 0
    if isinstance(when, int):
        return when, 0
    if not hasattr(when, "__float__"):
        raise TypeError("a time is a datetime or seconds since 1970")
    nanoseconds = round(float(when) * 10**9)
    return nanoseconds // 10**9, nanoseconds % 10**9


def _validity(valid):
    if valid is None:
        return None
    start, end = valid
    return ((-_FOREVER - 1, 0) if start is None else _instant(start)) + \
        ((_FOREVER, 0) if end is None else _instant(end))


def create(path, *, dim=0, metric="cosine", rows="f16", codes="auto",
           mode=0o600, group=None, shm_dir=None, expected_entities=0,
           bloom_rate=0.0, record_bytes=None, signs=False, codes_dim=0,
           cache_bytes=0, cache_ttl=0.0, cache_idle=0.0, history="age",
           history_days=30.0, history_count=0):
    """Makes a new store in the folder `path`, which must not exist or be empty.

    dim         of its vectors, 2 to 4096; 0: it has none
    metric      "cosine", "l2" or "ip"
    rows        "f16" or "f32": what ranks a search's candidates
    codes       "auto", "u8", "f16", "bf16", "f32" or "b1": what it walks over
    mode        permissions of all files; 0o660 and a `group` (its number)
                for a store that several users share
    shm_dir     a folder on a tmpfs, in place of /dev/shm
    history     "age" (what ended in the last history_days is kept), "all" or
                "none"

    The other options are those of struct cop_options in coppice.h.

    Raises ExistsError, InvalidError, NoSpaceError, OSError.
    """
    if group is not None and group < 0:
        raise ValueError("a group is a number of 0 or more")
    _coppice.create(
        _fspath(path), dim, _choice(_METRICS, metric, "metric"),
        _choice(_ROWS, rows, "rows"), _choice(_CODES, codes, "codes"), mode,
        0 if group is None else group + 1,
        None if shm_dir is None else _fspath(shm_dir), expected_entities,
        bloom_rate, 0 if record_bytes is None else record_bytes or 2**32 - 1,
        int(signs), codes_dim, cache_bytes, round(cache_ttl * 1000),
        round(cache_idle * 1000), _choice(_HISTORY, history, "history"),
        round(history_days * 86_400_000) if history == "age" else 0,
        history_count)


def detach(path):
    """Removes a store's shared memory, which the next open makes anew.  Raises
    BusyError while a process is attached."""
    _coppice.detach(_fspath(path))


def open(path, *, timeout=None, name=None):  # noqa: A001
    """Opens a store and attaches the copy that all processes share.

    timeout     seconds to wait for other writers; None: for ever
    name        of this process, for `coppice readers`; None: the program's

    Raises NotAStoreError, VersionError, CorruptError, DeniedError, BusyError,
    NoSpaceError, OSError.
    """
    return Store(path, timeout=timeout, name=name)


class Entity(_Mapping):
    """An entity of a snapshot; its properties are its items.

    It is borrowed: the snapshot lives as long as it does.
    """

    __slots__ = ("_entity",)

    def __init__(self, entity):
        self._entity = entity

    id = property(lambda self: self._entity.id)
    key = property(lambda self: self._entity.key)
    type = property(lambda self: self._entity.type)
    tags = property(lambda self: self._entity.tags, doc="a tuple")
    version = property(lambda self: self._entity.version,
                       doc="the commit that wrote it, for Write.expect()")
    properties = property(lambda self: self._entity.properties,
                          doc="all of them, as a dict of its own")
    content = property(lambda self: self._entity.content, doc="""
        A read-only memoryview of bytes, without a copy unless it was
        compressed; content over 16 MiB is read in parts.""")
    content_size = property(lambda self: self._entity.content_size)
    vector = property(lambda self: self._entity.vector, doc="""
        A read-only memoryview of float32 as it was put, without a copy;
        numpy.asarray() makes it an array.  None: it has none.""")

    def read_content(self, offset=0, size=65536):
        """Bytes of the content from `offset`, fewer than `size` at its end."""
        return self._entity._content_read(offset, size)

    def __getitem__(self, name):
        found = self._entity._property(name)
        if found is None:
            raise KeyError(name)
        return found[0]

    def get(self, name, default=None):
        found = self._entity._property(name)
        return default if found is None else found[0]

    def __contains__(self, name):
        return self._entity._property(name) is not None

    def __iter__(self):
        return iter(self._entity.properties)

    def __len__(self):
        return len(self._entity.properties)

    def __bool__(self):
        return True

    def __eq__(self, other):
        return isinstance(other, Entity) and \
            (self.id, self.version) == (other.id, other.version)

    def __hash__(self):
        return hash((self.id, self.version))

    def __repr__(self):
        kind = f" ({self.type})" if self.type else ""
        return f"<coppice.Entity {self.key!r}{kind} {self.properties!r}>"


def _entity(found):
    return None if found is None else Entity(found)


class _Reading:
    """What a store and a snapshot both answer; `_reads` gives the snapshot."""

    __slots__ = ()

    def get(self, key, default=None):
        """The entity of a key, or `default`."""
        with self._reads() as read:
            found = _entity(read._read.get(key))
        return default if found is None else found

    def __getitem__(self, key):
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __contains__(self, key):
        with self._reads() as read:
            return read._read.lookup(key) != 0

    def __len__(self):
        with self._reads() as read:
            return read._read.stat()["entities"]

    def __bool__(self):
        return True

    def __iter__(self):
        """All keys, in their order."""
        return (entity.key for entity in self.entities())

    def entities(self, prefix=""):
        """The entities whose keys begin with `prefix`, in order of keys.

        An iterator, all in one snapshot, which it holds until it is done.
        """
        with self._reads() as read:
            return read._each(read._read.keys(prefix))

    def select(self, *, type=None, all=None, any=None,  # noqa: A002
               none=None, prefix=None):
        """The entities of a type that have `all` these tags, one of `any`, and
        `none` of those: an iterator, as entities()."""
        with self._reads() as read:
            return read._each(read._read.select(
                type, _tuple(all), _tuple(any), _tuple(none), prefix))

    def _search(self, call, vectors, k, type, tag, any_tag, prefix, within,
                hops, direction, accept, exact, threshold, exclude, strategy,
                ef, *threads):
        if tag is not None and any_tag is not None:
            raise ValueError("either tag or any_tag")
        read = self._read
        near = 0 if within is None else read.lookup(within)
        if within is not None and not near:
            raise KeyError(within)
        if accept is not None:
            test = accept
            accept = lambda found: test(Entity(found))  # noqa: E731
        return call(
            vectors, k, type, _tuple(any_tag if tag is None else tag),
            int(any_tag is not None), prefix, near, hops,
            _choice(_DIRECTIONS, direction, "direction"), accept, int(exact),
            threshold, 0 if exclude is None else read.lookup(exclude),
            _choice(_STRATEGIES, strategy, "strategy"), ef, *threads)

    def search(self, vector, k=10, *, type=None, tag=None,  # noqa: A002
               any_tag=None, prefix=None, within=None, hops=1,
               direction="both", accept=None, exact=False, threshold=None,
               exclude=None, strategy="auto", ef=0, report=None):
        """The k nearest entities to a vector, nearest first: a list of Hit.

        vector      float32 in any buffer (a NumPy array is not copied), or a
                    sequence of numbers
        type        only entities of it
        tag         only those with this tag, or with all of these
        any_tag     only those with one of these
        prefix      only those whose keys begin with it
        within      only those within `hops` edges of the entity of this key,
                    in the `direction` "out", "in" or "both"
        accept      a function of an Entity that is true for those to be taken
        threshold   only those at this distance or nearer
        exclude     a key that is left out
        exact       rank by the float32 that was put, looking at all rows
        strategy    "auto", "scan", "hnsw", "lsh", "hierarchical", "kdtree"
        ef          width of the walk; the larger, the nearer to exact; 0: by k
        report      a dict, which is filled with how it went

        There are fewer than k only if no more qualify.

        >>> with _example() as store:
        ...     store.search([1, 0, 0], k=1, type="person")
        [coppice.Hit(key='ada', distance=0.0, id=1)]

        Raises BadVectorError, InvalidError, and KeyError for `within`.
        """
        with self._reads() as read:
            hits, how = read._search(
                read._read.search, vector, k, type, tag, any_tag, prefix,
                within, hops, direction, accept, exact, threshold, exclude,
                strategy, ef)
        if report is not None:
            report.update(how)
        return hits

    def search_many(self, vectors, k=10, *, type=None, tag=None,  # noqa: A002
                    any_tag=None, prefix=None, within=None, hops=1,
                    direction="both", accept=None, exact=False, threshold=None,
                    strategy="auto", ef=0, threads=1):
        """Many searches in one snapshot, over up to `threads` threads.

        vectors     two dimensions, a vector a row

        Returns two memoryviews of rows x k, without copies: ids (uint64; 0
        where there is no further hit) and distances (float64).

        >>> with _example() as store:
        ...     ids, distances = store.search_many([[1, 0, 0], [0, 1, 0]], k=1)
        ...     ids.shape, [store.key(row[0]) for row in ids.tolist()]
        ((2, 1), ['ada', 'alan'])
        """
        with self._reads() as read:
            return read._search(
                read._read.search_many, vectors, k, type, tag, any_tag, prefix,
                within, hops, direction, accept, exact, threshold, None,
                strategy, ef, 1 if accept else threads)

    def key(self, id):  # noqa: A002
        """The key of an id in the snapshot, or None."""
        with self._reads() as read:
            found = read._read.get_id(id)
            return None if found is None else found.key

    def _id(self, key):
        found = self._read.lookup(key)
        if not found:
            raise KeyError(key)
        return found

    def walk(self, start, hops=2, *, relation=None, direction="out",
             type=None, tag=None, limit=100_000, threads=1):  # noqa: A002
        """The entities within `hops` edges of `start`, breadth first: a list of
        Step, the start first; hops None: all that can be reached.

        `relation`, `type` and `tag` say what it goes over and to.  At `limit`
        steps it ends.

        >>> with _example() as store:
        ...     [(step.key, step.hops) for step in store.walk("ada")]
        [('ada', 0), ('grace', 1)]

        Raises KeyError, NoNameError.
        """
        with self._reads() as read:
            steps, _ = read._read.walk(
                read._id(start), 2**32 - 1 if hops is None else hops, relation,
                _choice(_DIRECTIONS, direction, "direction"), type, tag, limit,
                threads)
            return steps

    def path(self, source, target, *, hops=0, relation=None, direction="out",
             weight=None):
        """A shortest path, a list of Step; empty if there is none.

        hops        at most so many; 0: any number
        weight      a property of edges that says what each costs
        """
        with self._reads() as read:
            return read._read.path(
                read._id(source), read._id(target), hops, relation,
                _choice(_DIRECTIONS, direction, "direction"), weight)[0]

    def neighbors(self, key, relation=None, direction="out"):
        """The edges of an entity without their properties: a list of
        Neighbor."""
        with self._reads() as read:
            return [Neighbor._make(found) for found in read._read.neighbors(
                read._id(key), relation,
                _choice(_DIRECTIONS, direction, "direction"))]

    def edges(self, key, direction="out"):
        """The edges of an entity with their properties: a list of Edge."""
        with self._reads() as read:
            return read._read.edges(
                read._id(key), _choice(_DIRECTIONS, direction, "direction"))

    def stat(self):
        """The store's figures, a dict."""
        with self._reads() as read:
            return read._read.stat()


class Snapshot(_Reading):
    """The store as of one commit: a context manager.

    One thread at a time: others wait.  Close it when done; it holds older
    versions in memory.  What was borrowed (an entity's vector, as an array)
    keeps it alive.
    """

    __slots__ = ("_read",)

    def __init__(self, read):
        self._read = read

    commit = property(lambda self: self._read.commit,
                      doc="the number of the commit that it sees")

    def _reads(self):
        return _Kept(self)

    def _each(self, ids):
        for number in ids:
            found = self._read.get_id(number)
            if found is not None:
                yield Entity(found)

    def as_of(self, when):
        """Has it see an earlier commit, by number, or the newest one at a time
        (a datetime).  Returns itself.  Raises TooOldError, InvalidError."""
        if isinstance(when, (_datetime.datetime, _datetime.date)):
            seconds, nanoseconds = _instant(when)
            when = self._read.commit_at(seconds * 10**9 + nanoseconds)
        self._read.as_of(when)
        return self

    def valid_at(self, when):
        """Has it see only edges, tags and properties that are valid at a time
        in the world.  Returns itself."""
        self._read.valid_at(*_instant(when))
        return self

    def close(self):
        self._read.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class _Kept:
    """A snapshot that stays open after the `with`."""

    __slots__ = ("_snapshot",)

    def __init__(self, snapshot):
        self._snapshot = snapshot

    def __enter__(self):
        return self._snapshot

    def __exit__(self, *error):
        pass


class Store(_Reading):
    """An open store, like a mapping from keys to entities: a context manager.

    Each of its reads is of the newest commit, of whatever process.
    """

    def __init__(self, path, *, timeout=None, name=None):
        self._store = _coppice.Store(
            _fspath(path), 0 if timeout is None else
            max(1, round(timeout * 1000)), name)
        self.folder = path

    dim = property(lambda self: self._store.dim)
    metric = property(lambda self: self._store.metric)

    def _reads(self):
        # Ended when nothing borrows from it any more.
        return _Kept(Snapshot(self._store.read()))

    def snapshot(self, as_of=None):
        """A Snapshot of the newest commit, or of an earlier one."""
        snapshot = Snapshot(self._store.read())
        return snapshot if as_of is None else snapshot.as_of(as_of)

    def write(self, *, lazy=False, timeout=None):
        """A Write, which commits at the end of its `with`.

        lazy        a power cut may take it back, no death of a process
        timeout     seconds; None: the store's
        """
        return Write(self._store.write(), lazy, timeout)

    def __setitem__(self, key, properties):
        with self.write() as tx:
            tx[key] = properties

    def __delitem__(self, key):
        with self.write() as tx:
            del tx[key]

    def update(self, key, change, *, tries=100):
        """Has `change` make new properties out of the entity's, and puts them,
        unless somebody else changed it meanwhile: then it does so again.

        change      takes a dict (empty if there is no entity), returns one

        Type, tags, content and vector stay; properties are valid always, then.
        Returns what was put.

        >>> with _example() as store:
        ...     store.update("ada", lambda old: {**old, "born": 1815})
        ...     store["ada"].type
        {'born': 1815}
        'person'
        """
        for attempt in range(tries):
            found = self.get(key)
            properties = change({} if found is None else found.properties)
            if not isinstance(properties, dict):
                raise TypeError("the change returned no dict")
            try:
                with self.write() as tx:
                    tx.expect(key, 0 if found is None else found.version)
                    if found is None:
                        tx.put(key, properties)
                    else:
                        tx._write.put_again(found._entity, properties)
                return properties
            except ConflictError:
                if attempt + 1 == tries:
                    raise
        raise ValueError("tries below 1")

    def checkpoint(self):
        """Writes an image of the shared memory, for a fast start after a
        reboot."""
        self._store.checkpoint()

    def compact(self):
        """Builds the data file anew without its free pages, beside readers and
        writers.  Returns a dict."""
        return self._store.compact()

    def maintain(self, *, threads=1, budget=None):
        """Does what commits leave for later, for `budget` seconds or until it
        is done.  Returns a dict."""
        return self._store.maintain(
            threads, 0 if budget is None else max(1, round(budget * 1000)))

    def close(self):
        """Ends when its last snapshot, entity and view has."""
        self._store.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def __repr__(self):
        return f"<coppice.Store {_fspath(self.folder)!r}>"


class _Keep:
    def __repr__(self):
        return "coppice.KEEP"


KEEP = _Keep()
"""For content and vector of put(): as it is."""


class Write:
    """Puts and deletes that take effect together, or not at all.

    At the end of its `with` it commits; an exception there drops it.  Then
    `commit_number` is that of the commit.
    """

    def __init__(self, write, lazy, timeout):
        self._write = write
        self._lazy = int(lazy)
        self._timeout = 0 if timeout is None else max(1, round(timeout * 1000))
        self.commit_number = None

    def __len__(self):
        """How many operations it holds."""
        return self._write.count

    def __bool__(self):
        return True

    def put(self, key, properties=None, /, *, type=None,  # noqa: A002
            tags=None, content=None, vector=KEEP, **more):
        """Puts an entity; one of that key is replaced, its edges stay.

        properties  a dict, or as keywords, or both: None, bool, int, float,
                    str, and lists and dicts of them
        content     bytes or str; KEEP: as it is
        vector      as of search(); None: it has none; KEEP (the default): as
                    it is

        Raises BadKeyError, BadTextError, BadVectorError, TooLargeError.
        """
        if properties is not None:
            more = {**properties, **more}
        self._write.put(key, type, _tuple(tags), more,
                        None if content is KEEP else content,
                        None if vector is KEEP else vector,
                        int(vector is None), int(content is KEEP))

    def put_vector(self, key, vector):
        """Changes nothing but the vector of an entity, which must be there at
        the commit."""
        self._write.put_vector(key, vector)

    def delete(self, key):
        """Deletes an entity with its edges; one that is not there is no
        error."""
        self._write.delete(key)

    def undelete(self, key, commit=0):
        """Puts a deleted entity back as it was, at a commit or last."""
        self._write.undelete(key, commit)

    def tag(self, key, *tags, valid=None):
        """Gives an entity tags more; valid: (from, to), None for ever."""
        for tag in tags:
            self._write.tag(key, tag, _validity(valid))

    def untag(self, key, *tags):
        for tag in tags:
            self._write.untag(key, tag)

    def link(self, source, relation, target, properties=None, *,
             valid=None, discriminator=0, dangling="reject"):
        """Puts an edge; the same one is replaced.

        valid       (from, to): datetimes, seconds since 1970, None for ever
        dangling    "reject" (DanglingError at the commit), "stub" (puts what
                    is not there) or "skip"
        """
        self._write.link(source, relation, target, discriminator, properties,
                         _validity(valid),
                         _choice(_DANGLING, dangling, "dangling"))

    def unlink(self, source, relation, target, *, discriminator=0):
        self._write.unlink(source, relation, target, discriminator, None, None,
                           0)

    def expect(self, key, version):
        """The commit fails with ConflictError unless the entity has this
        version then; 0: unless there is none."""
        self._write.expect(key, version)

    def __setitem__(self, key, properties):
        self.put(key, properties)

    def __delitem__(self, key):
        self.delete(key)

    def commit(self):
        """Commits what it holds now; it may go on.  Returns the number.

        Raises DanglingError, ConflictError, NoSpaceError, BusyError,
        StalledError; the write stays as it was.
        """
        self.commit_number = self._write.commit(self._lazy, self._timeout)
        return self.commit_number

    def abort(self):
        """Drops what was not committed."""
        self._write.abort()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self.commit()
        finally:
            self.abort()


class _example:
    """A small store for the examples of this module."""

    def __enter__(self):
        import os
        import tempfile

        self._folder = tempfile.mkdtemp()
        self._path = os.path.join(self._folder, "kg")
        create(self._path, dim=3)
        self._store = open(self._path)
        with self._store.write() as tx:
            tx.put("ada", type="person", vector=[1, 0, 0])
            tx.put("alan", type="person", vector=[0, 1, 0])
            tx.put("grace", vector=[0, 0, 1])
            tx.link("ada", "knows", "grace")
        return self._store

    def __exit__(self, *error):
        import shutil

        self._store.close()
        detach(self._path)
        shutil.rmtree(self._folder)


