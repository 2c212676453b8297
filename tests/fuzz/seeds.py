#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""seeds.py FOLDER: makes the inputs that the targets of the fuzzer begin with,
FOLDER/TARGET/NAME, the same ones each time.  What found a bug is here, too:
its name begins with "bug-" and it stays."""

import gzip
import io
import json
import os
import struct
import sys
import zipfile
import zlib


def put(target, name, data):
    """One input."""
    path = os.path.join(sys.argv[1], target)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, name), "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)


# ---- import: see import.c for the bytes in front

FORMATS = ("unknown ndjson csv npy fvecs bvecs ivecs fbin u8bin i8bin ibin "
           "word2vec glove npz json edges triples graphml nt nq ttl "
           "trig").split()
SKIP_BAD, COMMIT, NAMES, NO_HEADER, LOCAL, IDS, STUB, SKIP = (
    1, 2, 4, 8, 16, 32, 64, 128)


def imported(kind, data, choice=COMMIT, dialect=0, called=0, ids=None):
    """An input of the target `import`."""
    if isinstance(data, str):
        data = data.encode()
    head = bytes([choice | (IDS if ids else 0), FORMATS.index(kind), dialect])
    if ids:
        head += bytes([len(ids)]) + ids
    return head + bytes([called]) + data


def npy(descr, shape, data, version=1):
    """An array as numpy.save() writes it."""
    text = ("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }"
            % (descr, shape)).encode()
    length = "<H" if version == 1 else "<I"
    fixed = 8 + struct.calcsize(length)
    text += b" " * (63 - (fixed + len(text)) % 64) + b"\n"
    return (b"\x93NUMPY" + bytes([version, 0]) +
            struct.pack(length, len(text)) + text + data)


def npz(method):
    """Two arrays and something else in a zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in (
                ("labels.npy", npy("<i4", "2,", struct.pack("<2i", 1, 2))),
                ("vectors.npy",
                 npy("<f4", "2, 3", struct.pack("<6f", *range(6)))),
                ("note.txt", b"nothing")):
            member = zipfile.ZipInfo(name)
            member.compress_type = method
            archive.writestr(member, data)
    return out.getvalue()


def lz4_block(data):
    """One frame with a block that is kept as it is."""
    head = b"\x04\x22\x4d\x18" + b"\x60\x40\x82"
    return (head + struct.pack("<I", len(data) | 1 << 31) + data +
            struct.pack("<I", 0))


def zstd_raw(data):
    """One frame with a block that is kept as it is."""
    return (b"\x28\xb5\x2f\xfd" + b"\x20" + bytes([len(data)]) +
            struct.pack("<I", len(data) << 3 | 1)[:3] + data)


ENTITIES = """\
{"key":"ada","type":"person","tags":["math","poet"],"properties":{"born":1815,\
"names":["Ada","Augusta"],"x":{"y":null,"z":[1.5,true,"\\u00e9\\ud83d\\ude00"]}\
},"content":"notes","vector":[1,2.5,-3e-1]}
{"id":"bob","timed":[{"tag":"old","valid_from":"2020","valid_to":"2021-02-03"},\
{"property":"p","value":7,"valid_from":"1815-12-10T10:00:00.5Z"}]}

{"source":"ada","relation":"knows","target":"bob","properties":{"w":0.5},\
"discriminator":2,"valid_from":"2020-01","valid_to":"2022"}
{"key":"ada","vector":null}
{"source":"ada","type":"likes","target":"carl"}
{"type":"entity","name":"Max","entityType":"person","observations":["a","b"]}
{"type":"relation","from":"Max","to":"ada","relationType":"r"}
"""
DOCUMENT = """\
{"nodes":[{"id":"a","labels":["x"],"attributes":{"k":[1,2]}},{"id":"b"}],
 "edges":[{"source":"a","target":"b","label":"to","weight":2}],
 "points":[{"id":7,"payload":{"c":"d"},"vector":[1,2,3]},
  {"id":"9e1f","vector":{"default":[4,5,6]}}],
 "vectors":[{"id":"v","values":[1,0,1],"metadata":{"q":true},
  "sparseValues":{"indices":[1],"values":[2]}}]}
"""
TABLE = """\
key,type,tags,content,vector,born:int,names:string[],w:double,b:boolean
ada,person,a;b,"some ""text"", and
a second line",1;2;3,1815,Ada;Augusta,0.5,true
bob,person,,,,,,,
"""
NEO = """\
personId:ID|name|:LABEL|n:long|d:date|p:point
1|'Ada'|Person;Poet|7|1815-12-10|{x:1,y:2}
"""
NEO_EDGES = ":START_ID,since:int,:END_ID,:TYPE\n1,2020,2,KNOWS\n"
GREMLIN = "~id,~label,age:Int,tags:String[]\nv1,person,36,a;b\n"
GRAPHML = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE graphml [<!ENTITY e "f">]>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="d0" for="node" attr.name="color" attr.type="string"><default>red\
</default></key>
<key id="d1" for="edge" attr.name="weight" attr.type="double"/>
<key id="l" for="node" attr.name="labels"/>
<graph id="G" edgedefault="undirected">
<node id="n0"><data key="d0">gr&amp;&#101;n</data><data key="l">:A:B</data>
<graph id="I" edgedefault="directed"><node id="n0:0"/></graph></node>
<node id="n1"><port name="p"/></node>
<edge id="e" source="n0" target="n1" label="to"><data key="d1">1.5</data></edge>
<hyperedge><endpoint node="n0" type="in"/><endpoint node="n1"/>
<endpoint node="n0:0"/></hyperedge>
</graph></graphml>
"""
NT = """\
<http://a/s> <http://a/p> "x\\u00e9\\n"@en-GB .
<http://a/s> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://a/T> .
_:b <http://a/n> "12"^^<http://www.w3.org/2001/XMLSchema#integer> . # end
"""
NQ = '<http://a/s> <http://a/p> <http://a/o> <http://a/g> .\n'
TTL = """\
@prefix a: <http://a/> . @base <http://b/> . PREFIX x: <http://x/>
a:s a a:T ; a:p "v", 'w'@de, 1, -2.5, 1e9, true, <rel>, [ a:q (1 2 "3") ] .
a:t a:u \"\"\"long
text\"\"\"^^a:d ; x:y _:n .
"""
HISTORY = """\
{"commit":1}
{"key":"a","vector":[1,2,3]}
{"source":"a","relation":"r","target":"a","discriminator":2}
{"commit":2}
{"set":{"key":"a","vector":null}}
{"delete":{"source":"a","relation":"r","target":"a","discriminator":2}}
{"delete":{"key":"a"}}
"""
TRIG = "@prefix a: <http://a/> .\na:g { a:s a:p a:o . }\nGRAPH a:h { [] a:p 1 }\n"


def import_seeds():
    """Of every format one, and some more."""
    f3 = struct.pack("<6f", 1, 2, 3, 4, 5, 6)
    keys = b"one\ntwo\n"
    many = {
        "ndjson": ENTITIES, "json": DOCUMENT, "csv": TABLE,
        "edges": "# c\na b\nb c 0.5\n% d\nc\ta\t-1e3\n",
        "triples": "a\tknows\tb\nb\tlikes\tc\n", "graphml": GRAPHML,
        "nt": NT, "nq": NQ, "ttl": TTL, "trig": TRIG,
        "npy": npy("<f4", "2, 3", f3),
        "npz": npz(zipfile.ZIP_STORED),
        "fvecs": struct.pack("<I3fI3f", 3, 1, 2, 3, 3, 4, 5, 6),
        "bvecs": struct.pack("<I3BI3B", 3, 1, 2, 3, 3, 4, 5, 6),
        "ivecs": struct.pack("<I3iI3i", 3, 1, 2, 3, 3, 4, 5, 6),
        "fbin": struct.pack("<II", 2, 3) + f3,
        "u8bin": struct.pack("<II6B", 2, 3, *range(6)),
        "i8bin": struct.pack("<II6b", 2, 3, -1, -128, 127, 1, 2, 3),
        "ibin": struct.pack("<II6i", 2, 3, *range(6)),
        "word2vec": "2 3\nking 1 2 3\nqueen -1 0.5 1e-3\n",
        "glove": "king 1 2 3\nqueen -1 .5 1e-3\n",
    }
    for kind, data in many.items():
        put("import", kind, imported(kind, data, COMMIT | STUB))
        put("import", kind + "-found",
            imported("unknown", data, SKIP_BAD | NAMES | LOCAL | SKIP))
    put("import", "history", imported("ndjson", HISTORY, COMMIT | STUB))
    put("import", "word2vec-binary", imported(
        "word2vec", b"2 3\nking " + f3[:12] + b"\nqueen " + f3[12:] + b"\n"))
    put("import", "npz-deflated",
        imported("npz", npz(zipfile.ZIP_DEFLATED), COMMIT | NAMES))
    for descr, pack in ((">f2", ">6e"), ("<f8", "<6d"), ("<i8", "<6q"),
                        ("|u1", "6B"), (">u2", ">6H")):
        put("import", "npy-" + descr[1:], imported(
            "npy", npy(descr, "2, 3", struct.pack(pack, *range(6)), 2),
            ids=keys))
    put("import", "csv-neo", imported("csv", NEO, COMMIT, 4 | 1 << 3 | 1 << 7))
    put("import", "csv-neo-edges",
        imported("csv", NEO_EDGES, COMMIT | STUB))
    put("import", "csv-gremlin", imported("csv", GREMLIN, COMMIT))
    put("import", "csv-bare",
        imported("csv", "a,b\nc,d,e\n", COMMIT | NO_HEADER | STUB | NAMES))
    put("import", "csv-escape", imported(
        "csv", 'key;x\n"a\\"b";"c\\\\"\n', COMMIT, 2 | 1 << 5))
    put("import", "mark", imported("unknown", b"\xef\xbb\xbf" + TABLE.encode()))
    put("import", "utf16",
        imported("unknown", b"\xff\xfe" + "{}".encode("utf-16-le")))
    put("import", "bug-utf16-nearly", imported("unknown", b"\xff\xff a b\n"))
    put("import", "bug-csv-empty", imported("csv", ",\n", NO_HEADER | NAMES))
    short = b'{"key":"a"}\n'
    for kind, data in (
            ("gzip", gzip.compress(ENTITIES.encode(), 9, mtime=0)),
            ("gzip-two", 2 * gzip.compress(short, 9, mtime=0)),
            ("zlib", zlib.compress(short)), ("lz4", lz4_block(short)),
            ("zstd", zstd_raw(short)), ("bzip2", b"BZh91AY&SY"),
            ("xz", b"\xfd7zXZ\0\0\4"), ("zip", b"PK\3\4" + bytes(30))):
        put("import", kind, imported("unknown", data))


def core_seeds():
    """Changes to what is sound (input_patch), and some bytes as they are."""
    for kind in range(4):
        put("record", "sound-%d" % kind, bytes([kind, 1]))
        put("record", "changed-%d" % kind,
            bytes([kind, 1, 40, 0, 0, 0, 7, 12, 0, 0, 3, 1, 2, 3, 4]))
        put("record", "zeros-%d" % kind, bytes([kind, 0]) + bytes(64))
    put("record", "bug-content-in-directory", bytes.fromhex(
        "34bfff5f4fa180006001890141000060670000bbbbbbbbbb0000030102"
        "01002f000001410000f06000020028000000070c0034600001"))
    edge = struct.pack("<QII", 3, 0, 1) + struct.pack("<qqII", 0, 9, 0, 1)
    put("record", "edge", bytes([1, 0]) + edge)
    put("request", "sound", b"\0")
    put("request", "changed", b"\0" + bytes([40, 0, 0, 1, 7, 0]))
    for target in ("backup", "pages", "image"):
        for choice in range(4):
            put(target, "sound-%d" % choice, bytes([choice]))
            put(target, "changed-%d" % choice,
                bytes([choice, 1, 40, 16, 0, 0, 1, 7, 0]))
    for chunk in range(16):
        put("image", "chunk-%d" % chunk, bytes([0, chunk, 40, 0, 0, 0, 7]))
    put("request", "cut", b"\1" + struct.pack("<H", 20) + bytes(32))


def text_seeds():
    """See text.c for the two bytes in front."""
    texts = (
        ("1.5e3", "-0", "007", "+.5", "5.", "1e400", "0.1234567890123456789",
         "1.17549435e-38", "16777217", "9007199254740993e22"),
        ('{"key":[1,{"a":"\\"]"}],"b":null} ', '"a\\u0041', "[[[]]]x", "12,",
         "true"),
        ("2026-11-27T10:00:00.5Z", "-44-03-15", "1815", "2h", "30d",
         "2026-11-27 10:00+05:30", "292277026596", "1999-12-31T23:59:60Z"),
        ("18446744073709551616", "10G", "0755", "1e308", "deadbeef",
         "\u00e9\u4e2d\U0001f600"),
        ("1;2;3", "[1, 2.5 3e1]", "true;false", "a\\;b;c", "-9223372036854775808",
         ";;", "1.5"))
    for kind, some in enumerate(texts):
        for number, text in enumerate(some):
            put("text", "%d-%d" % (kind, number),
                bytes([kind, number * 9]) + text.encode())


def call(name, arguments):
    """An assistant's call of a tool."""
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                       "params": {"name": name, "arguments": arguments}}) + "\n"


def host_seeds():
    """What hosts of assistants and browsers say."""
    calls = (
        ("search", {"query": "alice person", "k": 3, "tags": ["red"]}),
        ("search", {"vector": [1, 2, 3, 4], "near": "alice", "hops": 2}),
        ("search", {"like": "key-5", "type": "thing", "as_of": 3}),
        ("recall", {"keys": ["alice", "nobody", "fay"], "as_of": "2h"}),
        ("neighbors", {"key": "alice", "hops": 2, "relation": "knows",
                       "direction": "both", "limit": 5}),
        ("remember", {"entities": [{
            "key": "m", "type": "t", "observations": ["a", "b"], "tags": ["x"],
            "properties": {"p": [1, {"q": None}]}, "content": "c",
            "vector": [1, 0, 0, 2]}]}),
        ("relate", {"relations": [{
            "source": "bob", "relation": "r", "target": "fay",
            "properties": {"w": 1.5}, "valid_from": "2020"}]}),
        ("forget", {"keys": ["key-9"], "observations": [
            {"key": "m", "observations": ["a"]}], "relations": [
                {"from": "alice", "relationType": "knows", "to": "bob"}]}))
    for number, (name, arguments) in enumerate(calls):
        put("mcp", "%s-%d" % (name, number), call(name, arguments))
    put("mcp", "all", "".join(call(*one) for one in calls))
    put("mcp", "initialize", '{"jsonrpc":"2.0","id":"a","method":"initialize",'
        '"params":{"protocolVersion":"2025-03-26"}}\n'
        '{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
        '[{"jsonrpc":"2.0","id":1,"method":"ping"},'
        '{"jsonrpc":"2.0","id":2,"method":"tools/list"}]\n[]\n1\n')
    for number, target in enumerate((
            "", "metrics", "stats", "health", "ready", "favicon.ico",
            "search?text=alice%20person&k=3&type=person&tag=red",
            "search?like=key-5&k=4", "entity?key=alice",
            "graph?key=alice&hops=2&limit=10", "entity?key=%00%ff")):
        put("http", "target-%d" % number, b"\1" + target.encode())
    put("http", "raw", b"\0GET /stats HTTP/1.1\r\nHost: localhost\r\n"
        b"Connection: keep-alive\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n"
        b"Origin: http://b\r\nIf-None-Match: \"x\"\r\n\r\n")
    put("http", "post", b"\0POST /search HTTP/1.1\r\nHost: a\r\n"
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0"
        b"\r\n\r\n")


import_seeds()
text_seeds()
host_seeds()
core_seeds()
