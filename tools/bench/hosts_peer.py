# SPDX-License-Identifier: Apache-2.0
"""The example service's search as people build it today: an hnswlib index and
a dict of properties in each worker.  A write is seen by one worker alone."""

import json
import os

import hnswlib
import numpy

FOLDER = os.environ["PEER_FOLDER"]

with open(os.path.join(FOLDER, "peer.json")) as file:
    records = json.load(file)
index = hnswlib.Index("cosine", 128)
index.load_index(os.path.join(FOLDER, "peer.index"))
index.set_ef(100)


def application(environ, start_response):
    status, body = "404 Not Found", {"error": "there is /search"}
    if environ["PATH_INFO"] == "/search":
        size = int(environ["CONTENT_LENGTH"])
        query = json.loads(environ["wsgi.input"].read(size))
        ids, distances = index.knn_query(
            numpy.asarray(query["vector"], dtype=numpy.float32),
            query.get("k", 10), num_threads=1)
        status = "200 OK"
        body = {"hits": [{
            "key": records[found][0], "distance": float(distance),
            "properties": records[found][1]}
            for found, distance in zip(ids[0].tolist(), distances[0])]}
    text = json.dumps(body).encode()
    start_response(status, [("Content-Type", "application/json"),
                            ("Content-Length", str(len(text))),
                            ("X-Worker", str(os.getpid()))])
    return [text]
