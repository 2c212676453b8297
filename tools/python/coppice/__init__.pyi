# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from os import PathLike
from typing import Any, Literal, NamedTuple

from typing_extensions import Buffer, Self

Key = str | bytes
Value = None | bool | int | float | str | list[Value] | dict[str, Value]
Vector = Buffer | Sequence[float]
Vectors = Buffer | Sequence[Sequence[float]]
Names = str | Iterable[str]
Direction = Literal["out", "in", "both"]
Strategy = Literal["auto", "scan", "hnsw", "lsh", "hierarchical", "kdtree"]
Time = datetime | date | float
Valid = tuple[Time | None, Time | None]

version: str
cpu: str

class Error(Exception):
    code: int

class InvalidError(Error, ValueError): ...
class BadKeyError(Error, ValueError): ...
class BadVectorError(Error, ValueError): ...
class BadTextError(Error, ValueError): ...
class TooLargeError(Error, ValueError): ...
class DanglingError(Error, LookupError): ...
class NoNameError(Error, LookupError): ...
class NotAStoreError(Error): ...
class VersionError(Error): ...
class CorruptError(Error): ...
class NoSpaceError(Error): ...
class BusyError(Error, TimeoutError): ...
class MovedError(Error): ...
class StalledError(Error): ...
class ForkedError(Error): ...
class DeniedError(Error, PermissionError): ...
class ConflictError(Error): ...
class UnknownError(Error): ...
class TooOldError(Error, LookupError): ...
class ForeignError(Error): ...
class ExistsError(Error, FileExistsError): ...
class StoppedError(Error): ...
class ReadOnlyError(Error): ...

class Hit(NamedTuple):
    key: Key
    distance: float
    id: int

class Step(NamedTuple):
    key: Key
    hops: int
    relation: str | None
    direction: Literal["out", "in"] | None
    origin: int
    id: int

class Edge(NamedTuple):
    source: Key
    relation: str
    target: Key
    properties: dict[str, Value]
    discriminator: int
    valid: tuple[tuple[int, int], tuple[int, int]]
    version: int

class Neighbor(NamedTuple):
    key: Key
    relation: str
    direction: Literal["out", "in"]

class _KeepType: ...

KEEP: _KeepType

class Entity(Mapping[str, Value]):
    @property
    def id(self) -> int: ...
    @property
    def key(self) -> Key: ...
    @property
    def type(self) -> str | None: ...
    @property
    def tags(self) -> tuple[str, ...]: ...
    @property
    def version(self) -> int: ...
    @property
    def properties(self) -> dict[str, Value]: ...
    @property
    def content(self) -> memoryview: ...
    @property
    def content_size(self) -> int: ...
    @property
    def vector(self) -> memoryview | None: ...
    def read_content(self, offset: int = 0, size: int = 65536) -> bytes: ...
    def get(self, name: str, default: Any = None) -> Any: ...
    def __getitem__(self, name: str) -> Value: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...

class _Reading:
    def get(self, key: Key, default: Any = None) -> Any: ...
    def __getitem__(self, key: Key) -> Entity: ...
    def __contains__(self, key: Key) -> bool: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Key]: ...
    def entities(self, prefix: Key = "") -> Iterator[Entity]: ...
    def select(
        self,
        *,
        type: str | None = None,
        all: Names | None = None,
        any: Names | None = None,
        none: Names | None = None,
        prefix: Key | None = None,
    ) -> Iterator[Entity]: ...
    def search(
        self,
        vector: Vector,
        k: int = 10,
        *,
        type: str | None = None,
        tag: Names | None = None,
        any_tag: Names | None = None,
        prefix: Key | None = None,
        within: Key | None = None,
        hops: int = 1,
        direction: Direction = "both",
        accept: Callable[[Entity], Any] | None = None,
        exact: bool = False,
        threshold: float | None = None,
        exclude: Key | None = None,
        strategy: Strategy = "auto",
        ef: int = 0,
        report: dict[str, Any] | None = None,
    ) -> list[Hit]: ...
    def search_many(
        self,
        vectors: Vectors,
        k: int = 10,
        *,
        type: str | None = None,
        tag: Names | None = None,
        any_tag: Names | None = None,
        prefix: Key | None = None,
        within: Key | None = None,
        hops: int = 1,
        direction: Direction = "both",
        accept: Callable[[Entity], Any] | None = None,
        exact: bool = False,
        threshold: float | None = None,
        strategy: Strategy = "auto",
        ef: int = 0,
        threads: int = 1,
    ) -> tuple[memoryview, memoryview]: ...
    def key(self, id: int) -> Key | None: ...
    def walk(
        self,
        start: Key,
        hops: int | None = 2,
        *,
        relation: str | None = None,
        direction: Direction = "out",
        type: str | None = None,
        tag: str | None = None,
        limit: int = 100_000,
        threads: int = 1,
    ) -> list[Step]: ...
    def path(
        self,
        source: Key,
        target: Key,
        *,
        hops: int = 0,
        relation: str | None = None,
        direction: Direction = "out",
        weight: str | None = None,
    ) -> list[Step]: ...
    def neighbors(
        self,
        key: Key,
        relation: str | None = None,
        direction: Direction = "out",
    ) -> list[Neighbor]: ...
    def edges(self, key: Key, direction: Direction = "out") -> list[Edge]: ...
    def stat(self) -> dict[str, Any]: ...

class Snapshot(_Reading):
    @property
    def commit(self) -> int: ...
    def as_of(self, when: int | datetime | date) -> Self: ...
    def valid_at(self, when: Time) -> Self: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

class Store(_Reading):
    folder: str | PathLike[str]
    def __init__(
        self,
        path: str | PathLike[str],
        *,
        timeout: float | None = None,
        name: str | None = None,
    ) -> None: ...
    @property
    def dim(self) -> int: ...
    @property
    def metric(self) -> Literal["cosine", "l2", "ip"]: ...
    def snapshot(
        self, as_of: int | datetime | date | None = None
    ) -> Snapshot: ...
    def write(
        self, *, lazy: bool = False, timeout: float | None = None
    ) -> Write: ...
    def __setitem__(self, key: Key, properties: Mapping[str, Value]) -> None: ...
    def __delitem__(self, key: Key) -> None: ...
    def update(
        self,
        key: Key,
        change: Callable[[dict[str, Value]], Mapping[str, Value]],
        *,
        tries: int = 100,
    ) -> Mapping[str, Value]: ...
    def checkpoint(self) -> None: ...
    def compact(self) -> dict[str, int]: ...
    def maintain(
        self, *, threads: int = 1, budget: float | None = None
    ) -> dict[str, int]: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

class Write:
    commit_number: int | None
    def __len__(self) -> int: ...
    def put(
        self,
        key: Key,
        properties: Mapping[str, Value] | None = None,
        /,
        *,
        type: str | None = None,
        tags: Names | None = None,
        content: Buffer | str | _KeepType | None = None,
        vector: Vector | _KeepType | None = ...,
        **more: Value,
    ) -> None: ...
    def put_vector(self, key: Key, vector: Vector | None) -> None: ...
    def delete(self, key: Key) -> None: ...
    def undelete(self, key: Key, commit: int = 0) -> None: ...
    def tag(self, key: Key, *tags: str, valid: Valid | None = None) -> None: ...
    def untag(self, key: Key, *tags: str) -> None: ...
    def link(
        self,
        source: Key,
        relation: str,
        target: Key,
        properties: Mapping[str, Value] | None = None,
        *,
        valid: Valid | None = None,
        discriminator: int = 0,
        dangling: Literal["reject", "stub", "skip"] = "reject",
    ) -> None: ...
    def unlink(
        self,
        source: Key,
        relation: str,
        target: Key,
        *,
        discriminator: int = 0,
    ) -> None: ...
    def expect(self, key: Key, version: int) -> None: ...
    def __setitem__(self, key: Key, properties: Mapping[str, Value]) -> None: ...
    def __delitem__(self, key: Key) -> None: ...
    def commit(self) -> int: ...
    def abort(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

def create(
    path: str | PathLike[str],
    *,
    dim: int = 0,
    metric: Literal["cosine", "l2", "ip"] = "cosine",
    rows: Literal["f16", "f32"] = "f16",
    codes: Literal["auto", "u8", "f16", "bf16", "f32", "b1"] = "auto",
    mode: int = 0o600,
    group: int | None = None,
    shm_dir: str | PathLike[str] | None = None,
    expected_entities: int = 0,
    bloom_rate: float = 0.0,
    record_bytes: int | None = None,
    signs: bool = False,
    codes_dim: int = 0,
    cache_bytes: int = 0,
    cache_ttl: float = 0.0,
    cache_idle: float = 0.0,
    history: Literal["age", "all", "none"] = "age",
    history_days: float = 30.0,
    history_count: int = 0,
) -> None: ...
def open(
    path: str | PathLike[str],
    *,
    timeout: float | None = None,
    name: str | None = None,
) -> Store: ...
def detach(path: str | bytes) -> None: ...
