/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The neighbourhood of an entity: nodes repel each other, edges pull, and all
 * are drawn to the middle, in fewer and fewer steps (Fruchterman and Reingold,
 * 1991).  A label that would lie on another one is shown when its node is
 * looked at.
 */
import { html, svg } from "./chart.js";

const HEIGHT = 460, EDGE = 26, STEPS = 320;
export const MOST = 150; /* nodes */

const short = (text, size) => {
  const letters = [...text];
  return letters.length > size ? letters.slice(0, size - 1).join("") + "…" : text;
};

export class Graph {
  /* choose(key): called when a node is */
  constructor(root, choose) {
    this.choose = choose;
    this.nodes = new Map();
    this.links = new Map();
    this.types = [];
    this.legend = html("ul", { class: "legend", "aria-label": "Types" });
    this.picture = svg("svg", { role: "group",
      "aria-label": "Entities and edges; Enter on one shows its neighbours, too" });
    root.append(this.picture, this.legend);
    root.hidden = true;
    this.root = root;
    new ResizeObserver(() => this.fit()).observe(this.picture);
  }

  /* The picture has another width: the nodes go along. */
  fit() {
    const width = this.picture.clientWidth;
    if (!width || !this.nodes.size || width === this.width) return;
    for (const node of this.nodes.values()) node.x *= width / this.width;
    this.width = width;
    this.settle();
  }

  clear() {
    this.nodes.clear();
    this.links.clear();
    this.types = [];
    this.root.hidden = true;
  }

  /* Adds an answer of /graph; returns how many nodes had no room. */
  add(answer, chosen) {
    let without = 0;
    this.root.hidden = false;
    this.width = this.picture.clientWidth;
    const from = this.nodes.get(chosen) ?? { x: this.width / 2, y: HEIGHT / 2 };
    answer.nodes.forEach((node, i) => {
      if (this.nodes.has(node.key)) return;
      if (this.nodes.size >= MOST) { without++; return; }
      if (!this.types.includes(node.type)) this.types.push(node.type);
      const angle = i * 2.39996; /* the golden one: no two lie together */
      const away = i ? 30 + 6 * Math.sqrt(i) : 0;
      this.nodes.set(node.key, { ...node, dx: 0, dy: 0,
        x: from.x + away * Math.cos(angle), y: from.y + away * Math.sin(angle) });
    });
    for (const edge of answer.edges) {
      const source = this.nodes.get(answer.nodes[edge.source].key);
      const target = this.nodes.get(answer.nodes[edge.target].key);
      if (!source || !target || source === target) continue;
      const name = JSON.stringify([source.key, edge.relation, target.key]);
      this.links.set(name, { source, target, relation: edge.relation });
    }
    this.chosen = chosen;
    this.build();
    this.settle();
    return without;
  }

  build() {
    this.lines = [...this.links.values()].map((link) => {
      const near = link.source.key === this.chosen || link.target.key === this.chosen;
      const line = svg("line", near ? { class: "near" } : {},
        svg("title", {}, `${link.source.key} ${link.relation} ${link.target.key}`));
      return { ...link, line };
    });
    const focused = document.activeElement?.dataset?.key;
    const marks = [...this.nodes.values()].map((node) => this.mark(node));
    this.picture.replaceChildren(...this.lines.map((link) => link.line), ...marks);
    this.legend.replaceChildren(...this.types.map((type, i) => html("li", {},
      html("span", { class: `swatch tone${i % 6 + 1}` }), html("bdi", {}, type ?? "no type"))));
    if (focused !== undefined) this.nodes.get(focused)?.mark.focus();
  }

  mark(node) {
    const tone = this.types.indexOf(node.type) % 6 + 1;
    const isChosen = node.key === this.chosen;
    node.radius = Math.min(6 + 1.5 * Math.log2(1 + node.degree), 17);
    node.text = svg("text", { "text-anchor": "middle" }, short(node.key, 22));
    node.mark = svg("g", { class: `node tone${tone}${isChosen ? " chosen" : ""}`, tabindex: 0,
      role: "button", "aria-label": `${node.key}, ${node.type ?? "no type"}, ${node.degree} edges` },
      svg("title", {}, `${node.key}\n${node.label ?? ""}\n${node.degree} edges`),
      svg("circle", { r: node.radius }), node.text);
    node.mark.dataset.key = node.key;
    node.mark.addEventListener("click", () => this.choose(node.key));
    node.mark.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      this.choose(node.key);
    });
    return node.mark;
  }

  settle() {
    cancelAnimationFrame(this.frame);
    let step = 0;
    const atOnce = matchMedia("(prefers-reduced-motion: reduce)").matches ? STEPS : 16;
    const go = () => {
      for (let i = 0; i < atOnce && step < STEPS; i++) this.step(1 - step++ / STEPS);
      this.place();
      if (step < STEPS) this.frame = requestAnimationFrame(go);
    };
    go();
  }

  step(heat) {
    const nodes = [...this.nodes.values()];
    const ideal = Math.sqrt(this.width * HEIGHT / (nodes.length + 1)) * 0.5;
    for (const node of nodes) {
      node.dx = (this.width / 2 - node.x) * 0.06;
      node.dy = (HEIGHT / 2 - node.y) * 0.08;
    }
    for (let i = 0; i < nodes.length; i++)
      for (let j = i + 1; j < nodes.length; j++)
        this.push(nodes[i], nodes[j], ideal);
    for (const link of this.links.values()) this.pull(link, ideal);
    for (const node of nodes) {
      const size = Math.hypot(node.dx, node.dy) || 1;
      const go = Math.min(size, 22 * heat) / size;
      node.x = Math.min(Math.max(node.x + node.dx * go, EDGE * 2), this.width - EDGE * 2);
      node.y = Math.min(Math.max(node.y + node.dy * go, EDGE), HEIGHT - EDGE * 1.3);
    }
  }

  push(a, b, ideal) {
    const x = a.x - b.x || 0.1, y = a.y - b.y || 0.1;
    const force = ideal * ideal / (x * x + y * y + 1);
    a.dx += x * force; a.dy += y * force;
    b.dx -= x * force; b.dy -= y * force;
  }

  pull({ source, target }, ideal) {
    const x = target.x - source.x, y = target.y - source.y;
    const force = Math.hypot(x, y) / ideal * 0.22;
    source.dx += x * force; source.dy += y * force;
    target.dx -= x * force; target.dy -= y * force;
  }

  place() {
    for (const { source, target, line } of this.lines) {
      line.setAttribute("x1", source.x); line.setAttribute("y1", source.y);
      line.setAttribute("x2", target.x); line.setAttribute("y2", target.y);
    }
    const taken = [];
    const first = (node) => (node.key === this.chosen ? 1e12 : node.degree);
    for (const node of [...this.nodes.values()].sort((a, b) => first(b) - first(a))) {
      const width = [...node.text.textContent].length * 3.6 + 3;
      const box = { left: node.x - width, right: node.x + width,
        top: node.y + node.radius + 2, bottom: node.y + node.radius + 15 };
      const isFree = taken.every((other) => box.right < other.left || box.left > other.right ||
        box.bottom < other.top || box.top > other.bottom);
      node.mark.setAttribute("transform", `translate(${node.x.toFixed(1)} ${node.y.toFixed(1)})`);
      node.text.setAttribute("y", node.radius + 13);
      node.text.setAttribute("class", isFree ? "" : "hidden");
      if (isFree) taken.push(box);
    }
  }
}
