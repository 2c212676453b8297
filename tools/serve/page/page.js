/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page: /stats and /health each second, and what is asked for.  What comes
 * from the store is text and stays text: nothing is ever parsed as HTML.
 */
import { Chart, age, bytes, count, html, span } from "./chart.js";
import { Graph, MOST } from "./graph.js";

const at = (id) => document.getElementById(id);
const work = new Chart(at("work"), ["searches", "walks", "writes", "reads"], count, false);
const time = new Chart(at("time"), ["search p50", "search p99", "commit p50", "commit p99"], span, true);
const graph = new Graph(at("graph"), (key) => look(key));

async function ask(path, query = {}) {
  const answer = await fetch(`${path}?${new URLSearchParams(query)}`);
  const body = await answer.json();
  if (!answer.ok && !body.status) throw new Error(body.error ?? answer.statusText);
  return body;
}

/* ---- each second ---- */

/* The share of what was counted between two histograms is below this. */
function quantile(before, after, share) {
  const old = new Map(before?.buckets ?? []);
  const grown = after.buckets.map(([least, n]) => [least, n - (old.get(least) ?? 0)]);
  let left = grown.reduce((sum, [, n]) => sum + n, 0) * share;
  if (left <= 0) return null;
  for (const [least, n] of grown) {
    left -= n;
    if (left <= 0) return least * 1.0625; /* the middle of a bucket */
  }
  return null;
}

function tile(name, value) {
  return html("div", {}, html("dt", {}, name), html("dd", {}, value));
}

function showTiles({ figures, processes }) {
  at("tiles").replaceChildren(
    tile("entities", count(figures.entities)), tile("edges", count(figures.edges)),
    tile("vectors", count(figures.vectors)), tile("commits", count(figures.commits)),
    tile("processes", count(processes.length)),
    tile("in shared memory", bytes(figures.shared_bytes)),
    tile("on disk", bytes(figures.disk_bytes)));
}

function showMemory({ memory, figures }) {
  const all = memory.reduce((sum, { bytes: size }) => sum + size, 0) || 1;
  const tone = (i) => `tone${i % 6 + 1}`;
  const part = ({ region, bytes: size }, i) => {
    const piece = html("span", { class: tone(i), title: `${region}: ${bytes(size)}` });
    piece.style.flexGrow = size / all;
    return piece;
  };
  const there = memory.map((one, i) => [one, i]).filter(([one]) => one.bytes);
  const words = there.map(([{ region, bytes: size }, i]) => html("li", {},
    html("span", { class: `swatch ${tone(i)}` }), region, " ", html("b", {}, bytes(size))));
  const free = html("li", {}, "free there", " ", html("b", {}, bytes(figures.shm_free)));
  at("memory").replaceChildren(
    html("div", { class: "bar", role: "img", "aria-label": "Shares of the shared memory" },
      ...there.map(([one, i]) => part(one, i))),
    html("ul", { class: "legend" }, ...words, free));
}

function showProcesses(before, after, seconds) {
  const old = new Map((before?.processes ?? []).map((one) => [`${one.place} ${one.pid}`, one]));
  const cell = (text) => html("td", { class: "number" }, text);
  const rate = (one, last, what) => (last ? count((one[what] - last[what]) / seconds) : "–");
  const measure = (one, last, share) => {
    const value = last ? quantile(last.search, one.search, share) : null;
    return value === null ? "–" : span(value);
  };
  const rows = after.processes.map((one) => {
    const last = old.get(`${one.place} ${one.pid}`);
    return html("tr", {}, html("td", {}, html("bdi", {}, one.name)),
      cell(one.pid + (one.foreign ? "*" : "")), cell(rate(one, last, "searches")),
      cell(rate(one, last, "writes")), cell(rate(one, last, "reads")),
      cell(measure(one, last, 0.5)), cell(measure(one, last, 0.99)),
      cell(count(one.open)), cell(age((after.now_ns - one.since_ns) / 1e9)));
  });
  at("processes").replaceChildren(...rows);
}

function showCurves(before, after, seconds) {
  const rate = (what) => (after.figures[what] - before.figures[what]) / seconds;
  const between = (what, share) => quantile(before.timings[what], after.timings[what], share);
  const now = after.now_ns / 1e9;
  work.add(now, ["searches", "walks", "writes", "reads"].map(rate));
  time.add(now, [between("search", 0.5), between("search", 0.99),
    between("commit", 0.5), between("commit", 0.99)]);
}

function showHealth({ status, reasons }) {
  at("status").textContent = status;
  at("status").className = `status ${status}`;
  at("reasons").replaceChildren(...reasons.map((reason) => html("li", {}, reason)));
  at("reasons").hidden = !reasons.length;
}

let last = null;

async function tick() {
  try {
    const [stats, health] = await Promise.all([ask("stats"), ask("health")]);
    const seconds = last ? (stats.now_ns - last.now_ns) / 1e9 : 1;
    showHealth(health);
    at("store").textContent = stats.store;
    document.title = `${stats.store} – coppice`;
    at("by").querySelector("[value=like]").disabled = !stats.dim;
    showTiles(stats);
    showMemory(stats);
    showProcesses(last, stats, seconds);
    if (last && seconds > 0) showCurves(last, stats, seconds);
    last = stats;
  } catch (error) {
    showHealth({ status: "unhealthy", reasons: [error instanceof TypeError
      ? "The server does not answer. This page goes on asking." : error.message] });
    last = null;
  }
  setTimeout(tick, document.hidden ? 5000 : 1000);
}

/* ---- what is asked for ---- */

function say(id, text, isError = false) {
  at(id).textContent = text;
  at(id).classList.toggle("error", isError);
}

function hit({ key, type, label, score, distance }) {
  const measure = score ?? distance;
  const button = html("button", { type: "button" },
    html("bdi", { class: "key" }, key),
    html("span", { class: "measure" }, measure === undefined ? "" : measure.toPrecision(3)),
    html("span", { class: "more" }, type ?? "no type", " · ", html("bdi", {}, label || "no name")));
  button.addEventListener("click", () => {
    at("hits").querySelector("[aria-current]")?.removeAttribute("aria-current");
    button.setAttribute("aria-current", "true");
    graph.clear();
    look(key);
  });
  return html("li", {}, button);
}

async function find(event) {
  event.preventDefault();
  const by = at("by").value, query = at("query").value, type = at("type").value.trim();
  at("hits").replaceChildren();
  try {
    if (!query.trim()) throw new Error("Type words, or a key, to search for.");
    if (by === "key") {
      graph.clear();
      say("found", "");
      await look(query);
      return;
    }
    const answer = await ask("search", { [by]: query, k: 30, ...(type && { type }) });
    at("hits").replaceChildren(...answer.hits.map(hit));
    say("found", answer.hits.length
      ? `${answer.hits.length} found in ${answer.took_ms.toPrecision(2)} ms${by === "like" ? ", the nearest first: distances" : ", the best first: scores"}`
      : "Nothing found.");
  } catch (error) {
    say("found", error.message, true);
  }
}

function showEntity({ entity, edges, degree }) {
  const term = (name, value) => [html("dt", {}, html("bdi", {}, name)), html("dd", { dir: "auto" }, value)];
  const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const rows = [...term("type", entity.type ?? "none")];
  if (entity.tags) rows.push(...term("tags", entity.tags.join(", ")));
  for (const [name, value] of Object.entries(entity.properties ?? {})) rows.push(...term(name, plain(value)));
  if (entity.content) rows.push(...term("content", entity.content));
  rows.push(...term("edges", degree > edges.length ? `${count(degree)}, some of them:` : count(degree)));
  for (const { source, relation, target } of edges.slice(0, 12))
    rows.push(...term(source === entity.key ? relation : `${relation} of`, source === entity.key ? target : source));
  at("entity").replaceChildren(html("h3", { dir: "auto" }, entity.key), html("dl", {}, ...rows));
}

async function look(key) {
  try {
    const [around, entity] = await Promise.all([ask("graph", { key, hops: 1, limit: 40 }), ask("entity", { key })]);
    const without = graph.add(around, key);
    const parts = [`${graph.nodes.size} entities, ${graph.links.size} edges; choose one to see more.`];
    if (around.more) parts.push("It has more neighbours than are shown.");
    if (without) parts.push(`${without} were left out: ${MOST} is the most.`);
    say("graph-note", parts.join(" "));
    showEntity(entity);
  } catch (error) {
    say("graph-note", error.message, true);
  }
}

at("find").addEventListener("submit", find);
tick();
