# SPDX-License-Identifier: Apache-2.0
"""The page of `coppice serve` in Chromium; TAP.  page.py COPPICE FOLDER

With COPPICE_SHOTS set to a folder, pictures are left there.
"""

import base64
import json
import os
import subprocess
import sys
import time
import urllib.request

import websocket

from serving import Served, fill, load
from tap import done, ok

COPPICE, FOLDER = sys.argv[1:3]
SHOTS = os.environ.get("COPPICE_SHOTS")
ODD = ["<img src=x onerror=boom()>", "o'hara \"q\" \\", "\U0001f333\U0001f331",
       "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd"]


class Browser:
    """Chromium by its debugging protocol, one tab."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-sync",
             "--remote-debugging-port=0", "--remote-allow-origins=*",
             f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port = self.port(os.path.join(folder, "DevToolsActivePort"))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as got:
            tabs = json.load(got)
        url = next(tab for tab in tabs if tab["type"] == "page")
        self.socket = websocket.create_connection(
            url["webSocketDebuggerUrl"], timeout=30)
        self.number = 0
        self.complaints = []
        for domain in ("Page", "Runtime", "Log"):
            self.do(f"{domain}.enable")

    @staticmethod
    def port(path):
        for _ in range(300):
            if os.path.exists(path) and os.path.getsize(path):
                with open(path) as file:
                    return file.readline().strip()
            time.sleep(0.1)
        raise RuntimeError("chromium does not start")

    def do(self, method, **params):
        self.number += 1
        self.socket.send(json.dumps(
            {"id": self.number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            self.note(message)
            if message.get("id") == self.number:
                return message.get("result", message)

    def note(self, message):
        method, params = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"])
        if method == "Runtime.consoleAPICalled":
            self.complaints.append(params["args"])
        if method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(params["entry"])

    def js(self, text):
        answer = self.do("Runtime.evaluate", expression=text,
                         awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait(self, text, seconds=20):
        """Whether the expression becomes true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.js(text):
                return True
            time.sleep(0.1)
        return False

    def look(self, width, height, scheme):
        self.do("Emulation.setDeviceMetricsOverride", width=width,
                height=height, deviceScaleFactor=1,
                mobile=width < 600)
        self.do("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme}])

    def shot(self, name):
        if not SHOTS:
            return
        got = self.do("Page.captureScreenshot", captureBeyondViewport=True)
        with open(os.path.join(SHOTS, f"{name}.png"), "wb") as file:
            file.write(base64.b64decode(got["data"]))

    def key(self, name):
        for kind in ("keyDown", "keyUp"):
            self.do("Input.dispatchKeyEvent", type=kind, key=name, code=name,
                    windowsVirtualKeyCode=13)

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.socket.close()


def search(browser, by, query):
    browser.js(f"""document.getElementById('by').value = {json.dumps(by)};
        document.getElementById('query').value = {json.dumps(query)};
        document.getElementById('find').requestSubmit()""")


def graph_of(browser, key):
    search(browser, "key", key)
    return browser.wait(
        "document.querySelector('#entity h3')?.textContent === "
        f"{json.dumps(key)}")


def live(browser, served):
    browser.do("Page.navigate", url=served.url)
    ok(browser.wait("document.querySelectorAll('#processes tr').length > 0"),
       "the page lists who is attached")
    before = browser.js("document.querySelector('#work path').getAttribute('d')")
    loader = load(COPPICE, served.store, "e1")
    ok(browser.wait("parseFloat(document.querySelector('#work b')"
                    ".textContent.replaceAll(',', '')) > 0"),
       "searches of another process are told while they run")
    ok(browser.wait("[...document.querySelectorAll('#time b')]"
                    ".some((one) => /[0-9]/.test(one.textContent))"),
       "so is the time they take")
    ok(browser.wait("document.querySelector('#work path').getAttribute('d')"
                    f" !== {json.dumps(before)}"), "the curve moves")
    time.sleep(12 if SHOTS else 0)
    loader.end()


def finds(browser):
    search(browser, "text", "entity")
    ok(browser.wait("document.querySelectorAll('.hits li').length === 30"),
       "words are found")
    search(browser, "like", "e1")
    ok(browser.wait("document.getElementById('found').textContent"
                    ".includes('distances')"), "and what is near to a key")
    search(browser, "like", "nobody")
    ok(browser.wait("document.getElementById('found').textContent"
                    ".includes('no entity')"), "and it is said if it is not there")
    search(browser, "text", "zzzz")
    ok(browser.wait("document.getElementById('found').textContent"
                    " === 'Nothing found.'"), "or if nothing is found")


def graphs(browser, served):
    ok(graph_of(browser, "e0"), "an entity is shown")
    wanted = len(served.get("graph?key=e0&limit=40")[1]["nodes"])
    ok(browser.js("document.querySelectorAll('#graph .node').length") == wanted,
       f"its graph draws all {wanted} nodes")
    browser.js("[...document.querySelectorAll('#graph .node')].at(-1).focus()")
    browser.key("Enter")
    ok(browser.wait("document.querySelectorAll('#graph .node').length > "
                    f"{wanted}"), "Enter on a node brings its neighbours")
    ok(browser.js("document.activeElement.classList.contains('node')"),
       "and the focus stays there")
    for key in ODD:
        ok(graph_of(browser, key), f"a key such as {key!r} is shown as it is")
    ok(browser.js("document.querySelectorAll('img').length") == 1,
       "and none of it becomes an element")


def colours(browser):
    colour = "getComputedStyle(document.body).backgroundColor"
    browser.look(1280, 900, "light")
    light = browser.js(colour)
    graph_of(browser, "e0")
    search(browser, "text", "entity")
    time.sleep(1.5 if SHOTS else 0)
    browser.shot("light")
    browser.look(1280, 900, "dark")
    ok(browser.js(colour) != light, "there are dark colours, too")
    browser.shot("dark")
    browser.look(390, 844, "light")
    ok(browser.js("document.documentElement.scrollWidth <= "
                  "document.documentElement.clientWidth"),
       "nothing is cut off on a narrow screen")
    browser.shot("narrow")


def without(browser):
    store = os.path.join(FOLDER, "plain")
    fill(COPPICE, store, ODD, count=20, dim=0)
    with Served(COPPICE, store) as served:
        browser.do("Page.navigate", url="about:blank")
        browser.wait("document.readyState === 'complete'")
        browser.complaints.clear()
        browser.do("Page.navigate", url=served.url)
        ok(browser.wait("document.querySelector('[value=like]')?.disabled"),
           "without vectors there is no search by them")
        ok(not browser.complaints, "and no complaint", browser.complaints)
        browser.look(1280, 900, "light")
        browser.shot("empty")
    ok(browser.wait("document.getElementById('status').textContent"
                    " === 'unhealthy'"), "that the server is gone is said")
    browser.shot("gone")


store = os.path.join(FOLDER, "store")
fill(COPPICE, store, ODD, count=300, dim=8)
browser = Browser(os.path.join(FOLDER, "profile"))
try:
    with Served(COPPICE, store) as served:
        browser.look(1280, 900, "light")
        live(browser, served)
        ok(not browser.complaints, "it loads without a complaint",
           browser.complaints)
        finds(browser)
        graphs(browser, served)
        colours(browser)
    without(browser)
finally:
    browser.end()
done()
