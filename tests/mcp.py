# SPDX-License-Identifier: Apache-2.0
"""Assistants on one store by `coppice mcp`; TAP.  mcp.py COPPICE FOLDER"""

import json
import os
import random
import subprocess
import sys
import threading

from tap import done, ok

COPPICE, FOLDER = sys.argv[1:3]
STORE = os.path.join(FOLDER, "memory")


class Assistant:
    def __init__(self):
        self.process = subprocess.Popen(
            [COPPICE, "mcp", STORE], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, bufsize=1)
        self.number = 0

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self):
        return json.loads(self.process.stdout.readline())

    def ask(self, method, **params):
        self.number += 1
        self.say(json.dumps({"jsonrpc": "2.0", "id": self.number,
                             "method": method, "params": params}))
        answer = self.hear()
        assert answer["id"] == self.number and answer["jsonrpc"] == "2.0"
        return answer

    def call(self, tool, **arguments):
        return self.ask("tools/call", name=tool,
                        arguments=arguments)["result"]

    def get(self, tool, **arguments):
        answer = self.call(tool, **arguments)
        assert not answer["isError"], answer
        assert json.loads(answer["content"][0]["text"]) == \
            answer["structuredContent"]
        return answer["structuredContent"]

    def end(self):
        self.process.stdin.close()
        code = self.process.wait(30)
        self.process.stdout.close()
        return code


def coppice(*arguments, **keywords):
    return subprocess.run([COPPICE, *arguments], text=True,
                          capture_output=True, **keywords)


def the_protocol_is_kept(one):
    answer = one.ask("initialize", protocolVersion="2025-06-18",
                     capabilities={}, clientInfo={"name": "t", "version": "1"})
    ok(answer["result"]["protocolVersion"] == "2025-06-18" and
       "tools" in answer["result"]["capabilities"] and
       answer["result"]["serverInfo"]["name"] == "coppice", "it initializes",
       answer)
    answer = one.ask("initialize", protocolVersion="1999-01-01")
    ok(answer["result"]["protocolVersion"] == "2025-11-25",
       "an unknown revision is answered with its own")
    one.say('{"jsonrpc":"2.0","method":"notifications/initialized"}')
    ok(one.ask("ping")["result"] == {}, "a notification has no answer")
    tools = one.ask("tools/list")["result"]["tools"]
    ok([tool["name"] for tool in tools] ==
       ["search", "recall", "neighbors", "remember", "relate", "forget"] and
       all(tool["inputSchema"]["type"] == "object" and tool["description"]
           for tool in tools), "tools are listed with their schemas", tools)
    ok(one.ask("no/such")["error"]["code"] == -32601, "no such method")
    ok(one.ask("tools/call", name="nothing")["error"]["code"] == -32602,
       "no such tool")
    one.say("{ rubbish")
    ok(one.hear()["error"]["code"] == -32700, "no JSON")
    for line in ('{"jsonrpc":"2.0","id":1}', "[3]", '{"id":{},"method":"ping"}',
                 "[]"):
        one.say(line)
        answer = one.hear()
        answer = answer[0] if isinstance(answer, list) else answer
        ok(answer["error"]["code"] == -32600, f"no request: {line}", answer)
    one.say('[{"jsonrpc":"2.0","id":"a","method":"ping"},'
            '{"jsonrpc":"2.0","method":"x"},'
            '{"jsonrpc":"2.0","id":"b","method":"ping"}]')
    ok([answer["id"] for answer in one.hear()] == ["a", "b"], "a batch")
    one.say("")
    one.say("\r")
    ok(one.ask("ping")["result"] == {}, "and empty lines are passed over")


def what_is_remembered_is_found(one, two):
    one.get("remember", entities=[
        {"key": "Ada", "type": "person", "tags": ["math"],
         "observations": ["wrote the first program", "likes horses"],
         "properties": {"born": 1815}, "vector": [1, 0, 0]},
        {"name": "Engine", "entityType": "machine", "content": "of brass",
         "vector": [0.9, 0.1, 0]}])
    one.get("relate", relations=[
        {"source": "Ada", "relation": "described", "target": "Engine",
         "valid_from": "1843"}])
    found = two.get("recall", keys=["Ada", "Nobody"])
    ok(found["missing"] == ["Nobody"] and
       found["entities"][0]["properties"] == {
           "born": 1815, "observations": ["wrote the first program",
                                          "likes horses"]} and
       found["entities"][0]["relations"][0]["target"] == "Engine" and
       found["entities"][0]["relations"][0]["valid_from"] ==
       "1843-01-01T00:00:00Z", "another assistant recalls it", found)
    hits = two.get("search", query="Program")["hits"]
    ok([hit["key"] for hit in hits] == ["Ada"] and hits[0]["score"] > 0,
       "finds it by a word", hits)
    ok([hit["key"] for hit in two.get("search", query="bras")["hits"]] ==
       ["Engine"], "by the beginning of one in its content")
    ok([hit["key"] for hit in two.get("search", like="Ada")["hits"]] ==
       ["Engine"] and
       [hit["key"] for hit in two.get("search", vector=[1, 0, 0], k=1,
                                      type="machine")["hits"]] == ["Engine"],
       "by likeness")
    ok([hit["key"] for hit in two.get("search", query="person machine horses",
                                      tags=["math"])["hits"]] == ["Ada"],
       "among those with a tag")
    near = two.get("neighbors", key="Engine")["neighbors"]
    ok(near == [{"key": "Ada", "type": "person", "hops": 1,
                 "relation": "described", "direction": "in",
                 "from": "Engine"}], "and looks around", near)


def what_is_known_grows_and_shrinks(one, two):
    before = one.get("remember", entities=[
        {"key": "Ada", "observations": ["likes horses", "died in 1852"]}])
    entity = two.get("recall", keys=["Ada"])["entities"][0]
    ok(entity["properties"] == {"born": 1815, "observations": [
        "wrote the first program", "likes horses", "died in 1852"]} and
       entity["type"] == "person" and entity["tags"] == ["math"],
       "observations join what is known, once each", entity)
    two.get("remember", entities=[
        {"key": "Engine", "observations": ["was never built"]}])
    entity = one.get("recall", keys=["Engine"])["entities"][0]
    ok(entity["content"] == "of brass" and
       [hit["key"] for hit in one.get("search", like="Ada")["hits"]] ==
       ["Engine"], "content and vector stay", entity)
    one.get("forget", observations=[
        {"key": "Ada", "observations": ["likes horses"]}],
        relations=[{"source": "Ada", "relation": "described",
                    "target": "Engine"}])
    entity = two.get("recall", keys=["Ada"])["entities"][0]
    ok("likes horses" not in entity["properties"]["observations"] and
       entity["relations"] == [], "single things are forgotten", entity)
    one.get("forget", keys=["Engine"])
    ok(two.get("recall", keys=["Engine"])["missing"] == ["Engine"],
       "and whole ones")
    past = two.get("recall", keys=["Engine", "Ada"], as_of=before["commit"])
    ok(past["entities"][0]["content"] == "of brass" and
       "likes horses" in past["entities"][1]["properties"]["observations"],
       "the past is there still", past)
    ok(two.get("search", query="brass", as_of=str(before["commit"]))["hits"],
       "and is searched")
    answer = two.call("recall", keys=["Ada"], as_of="40d")
    ok(answer["isError"] and "later" in answer["content"][0]["text"],
       "what is too far back is said", answer)


def what_cannot_be_is_told(one):
    before = one.get("recall", keys=["Ada"])
    for tool, arguments in (
            ("remember", {}), ("remember", {"entities": "x"}),
            ("remember", {"entities": [{}]}),
            ("remember", {"entities": [{"key": ""}]}),
            ("remember", {"entities": [{"key": "a"}, {"key": "a"}]}),
            ("remember", {"entities": [{"key": "Ada", "tags": [1]}]}),
            ("remember", {"entities": [{"key": "Ada", "observations": [1]}]}),
            ("remember", {"entities": [
                {"key": "Ada", "observations": ["half"]},
                {"key": "b", "vector": [1, 2]}]}),
            ("remember", {"entities": [{"key": "x" * 500}]}),
            ("remember", {"entities": [{"key": "Ada", "properties": []}]}),
            ("relate", {"relations": [{"source": "Ada"}]}),
            ("relate", {"relations": [{"source": "Ada", "relation": "r",
                                       "target": "Nobody"}]}),
            ("search", {}), ("search", {"query": "a", "like": "Ada"}),
            ("search", {"query": 3}), ("search", {"query": "a", "k": 0}),
            ("search", {"vector": [1]}), ("search", {"vector": [1, 2, "x"]}),
            ("search", {"like": "Nobody"}),
            ("search", {"query": "a", "as_of": "someday"}),
            ("search", {"query": "a", "as_of": 1 << 40}),
            ("recall", {}), ("recall", {"keys": [None]}),
            ("recall", {"keys": ["a\0b"]}),
            ("neighbors", {}), ("neighbors", {"key": "Nobody"}),
            ("neighbors", {"key": "Ada", "hops": 1000}),
            ("neighbors", {"key": "Ada", "direction": "up"}),
            ("forget", {"keys": "Ada"}),
            ("forget", {"relations": [{"source": "Ada"}]})):
        answer = one.call(tool, **arguments)
        ok(answer["isError"] and answer["content"][0]["text"],
           f"{tool} {json.dumps(arguments)[:60]} is refused", answer)
    ok(one.get("recall", keys=["Ada", "a", "b"]) ==
       {**before, "missing": ["a", "b"]}, "and nothing was half done")


def answers_come_whatever_is_asked(one):
    for arguments in ({"key": "q", "type": "x" + "é" * 400},
                      {"key": "q", "tags": ["ß" * 300]},
                      {"key": "ж" * 300}):
        answer = one.call("remember", entities=[arguments])
        ok(answer["isError"] and answer["content"][0]["text"],
           "a name that is too long is told, however it is cut", answer)
    answer = one.call("relate", relations=[
        {"source": "ю" * 102, "relation": "r", "target": "Ada"}])
    ok(answer["isError"], "and a key that is not there", answer)
    one.say("5")
    ok(one.hear()["error"]["code"] == -32600, "a number is no request")
    one.get("remember", entities=[
        {"key": "odd", "properties": {"observations": "a text"}},
        {"key": "bare", "properties": None},
        {"key": "Self", "observations": ["x"]}])
    answer = one.call("remember", entities=[
        {"key": "odd", "observations": ["n"]}])
    ok(answer["isError"] and "no list" in answer["content"][0]["text"],
       "observations that are no list are not replaced", answer)
    before = one.get("recall", keys=["odd", "bare", "Self"])
    last = coppice("history", STORE, "bare").stdout
    one.get("forget", observations=[
        {"key": key, "observations": ["unheard of"]}
        for key in ("odd", "bare", "Self", "Nobody")])
    ok(one.get("recall", keys=["odd", "bare", "Self"]) == before and
       coppice("history", STORE, "bare").stdout == last,
       "what is not known is forgotten without a trace")
    for arguments in ({}, {"key": ["Ada"]}, {"observations": "zz"},
                      {"observations": [{"key": "Self"}]}):
        ok(one.call("forget", **arguments)["isError"],
           f"forgetting {arguments} is refused")
    one.get("relate", relations=[
        {"source": "Self", "relation": "likes", "target": "Self"}])
    ok(len(one.get("recall", keys=["Self"])["entities"][0]["relations"]) == 1,
       "a relation to itself is told once")
    ok(one.get("search", query="x", like=None, vector=None, k=5.0)["hits"],
       "null is absent, and 5.0 is 5")
    one.get("remember", entities=[
        {"key": "many", "observations": [f"number {i}" for i in range(20000)]}])
    ok(len(one.get("recall", keys=["many"])["entities"][0]["properties"][
        "observations"]) == 20000, "twenty thousand observations at once")
    one.get("forget", keys=["many", "odd", "bare", "Self"])


def rubbish_does_no_harm(one):
    chance = random.Random(int(os.environ.get("COPPICE_TEST_SEED", "1")))
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                       "params": {"name": "remember", "arguments": {
                           "entities": [{"key": "r", "observations": ["a"],
                                         "vector": [1, 2, 3]}]}}})
    for _ in range(500):
        text = list(line)
        for _ in range(chance.randrange(1, 5)):
            at = chance.randrange(len(text))
            text[at] = chance.choice(['"', "{", "[", "]", "}", ",", "0", "é",
                                      "\\", ":", "null", "1e999"])
        one.say("".join(text))
    one.say('{"jsonrpc":"2.0","id":"end","method":"ping"}')
    while True:
        answer = one.hear()
        if isinstance(answer, dict) and answer.get("id") == "end":
            break
    ok(one.ask("ping")["result"] == {}, "five hundred mutated lines are borne")


def many_remember_at_once():
    assistants, each = 64, 4
    failed = []

    def remember(number):
        assistant = Assistant()
        for turn in range(each):
            answer = assistant.call("remember", entities=[
                {"key": "shared", "observations": [f"{number}-{turn}"]}])
            if answer["isError"]:
                failed.append(answer)
        if assistant.end():
            failed.append("status")

    threads = [threading.Thread(target=remember, args=(number,))
               for number in range(assistants)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = Assistant()
    seen = last.get("recall", keys=["shared"])["entities"][0][
        "properties"]["observations"]
    ok(not failed and len(seen) == len(set(seen)) ==
       assistants * each,
       "sixty-four assistants add to one entity, and nothing is lost", len(seen),
       *failed[:2])
    ok(last.end() == 0, "the end of its input ends it")


def the_reference_server_moves_in():
    path = os.path.join(FOLDER, "memory.jsonl")
    with open(path, "w") as file:
        for line in (
                {"type": "entity", "name": "Default User",
                 "entityType": "person", "observations": ["likes tea"]},
                {"type": "entity", "name": "Acme", "entityType": "company",
                 "observations": []},
                {"type": "relation", "from": "Default User", "to": "Acme",
                 "relationType": "works_at"}):
            print(json.dumps(line), file=file)
    run = coppice("import", STORE, path)
    assistant = Assistant()
    entity = assistant.get("recall", keys=["Default User"])["entities"][0]
    ok(run.returncode == 0 and entity["type"] == "person" and
       entity["properties"]["observations"] == ["likes tea"] and
       entity["relations"][0]["relation"] == "works_at" and
       entity["relations"][0]["target"] == "Acme",
       "memory.jsonl is imported", run, entity)
    assistant.end()


def without_vectors():
    global STORE
    STORE = os.path.join(FOLDER, "words")
    coppice("init", STORE)
    assistant = Assistant()
    assistant.get("remember", entities=[{"key": "über", "observations":
                                         ["Grüße aus Köln"]}])
    ok([hit["key"] for hit in assistant.get("search", query="köln")["hits"]]
       == ["über"], "a store without vectors is searched by words")
    ok(assistant.call("search", like="über")["isError"],
       "and says so if asked for likeness")
    assistant.end()


ok(coppice("init", STORE, "--dim", "3").returncode == 0, "a store is made")
first, second = Assistant(), Assistant()
the_protocol_is_kept(first)
what_is_remembered_is_found(first, second)
what_is_known_grows_and_shrinks(first, second)
what_cannot_be_is_told(first)
answers_come_whatever_is_asked(first)
rubbish_does_no_harm(first)
ok(first.end() == 0 and second.end() == 0, "both end well")
many_remember_at_once()
the_reference_server_moves_in()
ok(coppice("check", STORE).returncode == 0, "and the store is whole")
without_vectors()
done()
