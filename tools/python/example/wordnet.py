# SPDX-License-Identifier: Apache-2.0
"""Questions and answers over a store, as a WSGI application.

    COPPICE_STORE=/srv/kg gunicorn --workers 4 --preload wordnet:application

GET  /search?q=TEXT     entities near the mean of what the words of TEXT stand
                        for; also k, type, tag
POST /search            {"vector": [..], "k": 10, "type": .., "tag": ..}
GET  /entity?key=K      an entity and its neighbours
POST /add               {"key": .., "type": .., "tags": [..], "properties": {..},
                        "content": "..", "vector": [..],
                        "edges": [{"relation": .., "target": ..}]}

The store is opened once, before the workers are forked or after: each searches
the one shared copy.
"""

import json
import os
from urllib.parse import parse_qs

import numpy

import coppice

SENSES = 8          # of a word, that count
NEIGHBORS = 100     # shown of an entity
K_MAX = 1000
BODY_BYTES = 1 << 20

store = coppice.open(os.environ["COPPICE_STORE"], name="wordnet")


class Refused(Exception):
    """A request that is at fault: a status and why."""

    def __init__(self, status, why):
        super().__init__(why)
        self.status = status


def mean_of(snapshot, text):
    """The mean of the vectors of all senses of a text's words, or None."""
    vectors = []
    for word in text.lower().split():
        senses = 0
        for entity in snapshot.entities(word + "."):
            if entity.vector is not None:
                vectors.append(numpy.asarray(entity.vector))
                senses += 1
            if senses == SENSES:
                break
    return numpy.mean(vectors, axis=0) if vectors else None


def count_of(value):
    try:
        k = int(value)
    except (TypeError, ValueError):
        raise Refused(400, "k is a number from 1 to 1000") from None
    if isinstance(value, float) and k != value or not 1 <= k <= K_MAX:
        raise Refused(400, "k is a number from 1 to 1000")
    return k


def body_of(environ):
    size = int(environ.get("CONTENT_LENGTH") or 0)
    if size > BODY_BYTES:
        raise Refused(413, f"a body of over {BODY_BYTES} bytes")
    try:
        body = json.loads(environ["wsgi.input"].read(size))
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise Refused(400, "the body is no JSON object")
    return body


def query_of(environ):
    return {name: values[0] for name, values in parse_qs(
        environ["QUERY_STRING"], keep_blank_values=True).items()}


def search(environ):
    with store.snapshot() as snapshot:
        if environ["REQUEST_METHOD"] == "GET":
            query = query_of(environ)
            vector = mean_of(snapshot, query.get("q", ""))
        else:
            query = body_of(environ)
            if "vector" not in query:
                raise Refused(400, "a vector is missing")
            vector = query["vector"]
        k = count_of(query.get("k", 10))
        hits = [] if vector is None else snapshot.search(
            vector, k, type=query.get("type"), tag=query.get("tag"))
        return {"hits": [{
            "key": hit.key, "distance": hit.distance,
            "properties": snapshot[hit.key].properties} for hit in hits]}


def entity(environ):
    query = query_of(environ)
    if "key" not in query:
        raise Refused(400, "key is missing: /entity?key=...")
    with store.snapshot() as snapshot:
        found = snapshot.get(query["key"])
        if found is None:
            raise Refused(404, "there is no such entity")
        near = snapshot.neighbors(found.key, direction="both")
        return {
            "key": found.key, "type": found.type, "tags": found.tags,
            "properties": found.properties,
            "content": bytes(found.content).decode(errors="replace")
            if found.content_size else None,
            "neighbors": [edge._asdict() for edge in near[:NEIGHBORS]]}


def add(environ):
    body = body_of(environ)
    if "key" not in body:
        raise Refused(400, "a key is missing")
    if not isinstance(body.get("tags", []), list):
        raise Refused(400, "tags are a list")
    with store.write() as tx:
        tx.put(body["key"], body.get("properties"), type=body.get("type"),
               tags=body.get("tags"), content=body.get("content"),
               vector=body.get("vector", coppice.KEEP))
        for edge in body.get("edges", ()):
            tx.link(body["key"], edge["relation"], edge["target"])
    return {"commit": tx.commit_number}


ROUTES = {
    "/search": {"GET": search, "POST": search},
    "/entity": {"GET": entity},
    "/add": {"POST": add},
}


def answer(environ):
    methods = ROUTES.get(environ["PATH_INFO"])
    if methods is None:
        return 404, {"error": "there are /search, /entity and /add"}
    if environ["REQUEST_METHOD"] not in methods:
        return 405, {"error": "it takes " + ", ".join(methods)}
    try:
        return 200, methods[environ["REQUEST_METHOD"]](environ)
    except Refused as refused:
        return refused.status, {"error": str(refused)}
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:
        return 400, {"error": str(error)}
    except (coppice.Error, OSError) as error:
        return 503, {"error": str(error)}


STATUS = {200: "OK", 400: "Bad Request", 404: "Not Found",
          405: "Method Not Allowed", 413: "Content Too Large",
          503: "Service Unavailable"}


def application(environ, start_response):
    status, body = answer(environ)
    text = json.dumps(body).encode()
    start_response(f"{status} {STATUS[status]}", [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(text))),
        ("X-Worker", str(os.getpid()))])
    return [text]
