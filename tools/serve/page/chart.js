/* SPDX-License-Identifier: Apache-2.0 */
/* Curves of the last two minutes, and how numbers are written. */

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 190, LEFT = 56, RIGHT = 6, TOP = 8, BOTTOM = 22;
export const SECONDS = 120;

export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes))
    element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export function html(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes))
    element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function count(value) {
  if (value > 0 && value < 10) return String(Math.round(value * 10) / 10);
  return whole.format(value);
}

function scaled(value, step, units) {
  let unit = 0;
  while (value >= step && unit < units.length - 1) { value /= step; unit++; }
  const digits = value >= 100 || unit === 0 && value % 1 === 0 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

export const bytes = (value) => scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
export const span = (ns) => scaled(ns, 1000, ["ns", "µs", "ms", "s"]);

export function age(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

/* The next of 1, 2, 5, 10, 20, ... at or above a value. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((step) => step * power >= value * 0.9999);
}

export class Chart {
  /* names: of the curves; format: of a value */
  constructor(root, names, format, isLog) {
    this.format = format;
    this.isLog = isLog;
    this.points = [];
    this.grid = svg("g");
    this.curves = names.map((_, i) => svg("path", { class: `tone${i + 1}` }));
    this.values = names.map(() => html("b", {}, "–"));
    this.picture = svg("svg", { role: "img",
      "aria-label": `${names.join(", ")}: the last two minutes` }, this.grid, ...this.curves);
    const legend = html("ul", { class: "legend" }, ...names.map((name, i) =>
      html("li", {}, html("span", { class: `swatch tone${i + 1}` }), name, " ", this.values[i])));
    root.append(this.picture, legend);
    new ResizeObserver(() => this.draw()).observe(root);
  }

  /* A value may be null: there was nothing to measure. */
  add(time, values) {
    this.points.push({ time, values });
    while (this.points[0].time < time - SECONDS) this.points.shift();
    values.forEach((value, i) => {
      this.values[i].textContent = value === null ? "–" : this.format(value);
    });
    this.draw();
  }

  range() {
    const all = this.points.flatMap((point) => point.values).filter((value) => value > 0);
    const most = ceiling(Math.max(...all, this.isLog ? 1e6 : 10));
    const least = this.isLog ? 10 ** Math.floor(Math.log10(Math.min(...all, 1e5))) : 0;
    return [least, this.isLog ? 10 ** Math.ceil(Math.log10(most)) : most];
  }

  ticks(least, most) {
    if (!this.isLog) return [0, most / 4, most / 2, most * 3 / 4, most];
    const powers = Math.round(Math.log10(most / least));
    const step = Math.ceil(powers / 5);
    return Array.from({ length: Math.floor(powers / step) + 1 }, (_, i) => least * 10 ** (i * step));
  }

  draw() {
    const [least, most] = this.range();
    const right = this.picture.clientWidth - RIGHT;
    const share = (value) => this.isLog
      ? Math.log(Math.max(value, least) / least) / Math.log(most / least) : value / most;
    const y = (value) => HEIGHT - BOTTOM - share(value) * (HEIGHT - TOP - BOTTOM);
    const now = this.points.at(-1)?.time ?? 0;
    const x = (time) => right - (now - time) / SECONDS * (right - LEFT);
    const tick = (value) => [
      svg("line", { class: "grid", x1: LEFT, x2: right, y1: y(value), y2: y(value) }),
      svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, this.format(value))];
    const second = ([ago, text]) => svg("text",
      { x: x(now - ago), y: HEIGHT - 5, "text-anchor": ago ? "middle" : "end" }, text);
    this.grid.replaceChildren(...this.ticks(least, most).flatMap(tick),
      ...[[90, "90 s ago"], [60, "60 s"], [30, "30 s"], [0, "now"]].map(second));
    this.curves.forEach((curve, i) => {
      let pen = "M", path = "";
      for (const point of this.points) {
        const value = point.values[i];
        if (value === null) { pen = "M"; continue; }
        path += `${pen}${x(point.time).toFixed(1)} ${y(value).toFixed(1)}`;
        if (pen === "M") path += "h.01"; /* one that is alone shows, too */
        pen = "L";
      }
      curve.setAttribute("d", path);
      curve.setAttribute("stroke-linecap", "round");
    });
  }
}
