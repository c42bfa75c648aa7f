// The fleet grid and the node that is looked at.

import { draw } from "./chart.js";
import { fixed, keep, make, say, time } from "./text.js";

const SEVERITY = { failing: 4, suspect: 3, unknown: 2, warming: 1, healthy: 0 };
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);
const cells = new Map();

/** The node that deserves a look when nobody chose one: the worst, and among equals the most probable. */
export function worst(nodes) {
  const rank = (node) => (SEVERITY[node.verdict] ?? 0) + (node.probability ?? 0);
  return nodes.reduce((best, node) => (!best || rank(node) > rank(best) ? node : best), null)?.node ?? null;
}

export function roles(jobs) {
  const found = new Map();
  for (const job of jobs) {
    for (const name of job.vacated) found.set(name, "vacated");
    for (const name of job.spares) found.set(name, "spare");
    for (const rank of job.ranks) if (rank.node) found.set(rank.node, `rank ${rank.rank}`);
  }
  return found;
}

export function showFleet(nodes, role, chosen) {
  const grid = byId("fleet");
  byId("fleet-empty").hidden = nodes.length > 0;
  for (const node of nodes) {
    if (!cells.has(node.node)) cells.set(node.node, newCell(node.node));
    fill(cells.get(node.node), node, role.get(node.node) ?? "", node.node === chosen);
  }
  const wanted = nodes.map((node) => cells.get(node.node).item);
  if (wanted.length !== grid.children.length || wanted.some((item, index) => grid.children[index] !== item)) {
    grid.replaceChildren(...wanted);
  }
  say(byId("tally"), tally(nodes));
}

function tally(nodes) {
  const many = {};
  for (const node of nodes) many[node.verdict] = (many[node.verdict] ?? 0) + 1;
  const order = Object.keys(SEVERITY).filter((verdict) => many[verdict]);
  return order.map((verdict) => `${many[verdict]} ${verdict}`).join(" · ");
}

function newCell(name) {
  const shape = document.createElementNS(SVG, "svg");
  shape.setAttribute("class", "shape");
  shape.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  shape.append(use);
  const parts = {
    use,
    role: make("span", { className: "role" }),
    verdict: make("span", { className: "verdict" }),
    p: make("span", { className: "p" }),
    level: make("i"),
  };
  parts.button = make(
    "button",
    { className: "cell", type: "button", data: { node: name } },
    make("span", { className: "name" }, shape, make("b", { textContent: name, title: name }), parts.role),
    make("span", { className: "says" }, parts.verdict, parts.p),
    make("span", { className: "meter", attr: { "aria-hidden": "true" } }, parts.level),
  );
  parts.item = make("li", {}, parts.button);
  return parts;
}

function fill(parts, node, role, pressed) {
  const { button } = parts;
  if (button.dataset.verdict !== node.verdict) {
    button.dataset.verdict = node.verdict;
    parts.use.setAttribute("href", `#shape-${node.verdict}`);
    say(parts.verdict, node.verdict);
  }
  button.setAttribute("aria-pressed", String(pressed));
  say(parts.role, role);
  say(parts.p, node.probability === null ? "" : `P ${fixed(node.probability, 2)}`);
  parts.level.style.transform = `scaleX(${node.probability ?? 0})`;
}

/** Arrow keys move between cells as they lie on the screen. */
export function moveByKeys(event) {
  const all = [...byId("fleet").querySelectorAll(".cell")];
  const at = all.indexOf(event.target.closest(".cell"));
  if (at < 0) return;
  const columns = Math.max(1, all.filter((cell) => cell.offsetTop === all[0].offsetTop).length);
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
  const next = { Home: all[0], End: all[all.length - 1] }[event.key] ?? (step ? all[at + step] : undefined);
  if (next) {
    event.preventDefault();
    next.focus();
  }
}

export function showNode(detail, role) {
  byId("detail-body").hidden = !detail;
  byId("detail-empty").hidden = Boolean(detail);
  if (!detail) return;
  say(byId("detail-title"), detail.node);
  say(byId("detail-verdict"), [detail.verdict, role, `seen ${time(detail.ts)}`].filter(Boolean).join(" · "));
  say(byId("p-now"), fixed(detail.probability, 3));
  say(byId("d-now"), fixed(detail.deviation, 2));
  const series = (index) =>
    detail.points.map((point) => ({ x: point[0], y: point[index], alarm: point[3] === "failing" || point[3] === "suspect" }));
  draw(byId("p-chart"), series(1), {
    name: "Fault probability", floor: 0, ceiling: 1, xLabel: time,
    yLabel: (value) => value.toFixed(1), label: (point) => `${time(point.x)}  P ${point.y.toFixed(3)}`,
  });
  draw(byId("d-chart"), series(2), {
    name: "Transition deviation", xLabel: time,
    yLabel: (value) => String(Number(value.toFixed(2))), label: (point) => `${time(point.x)}  ${point.y.toFixed(2)} σ`,
  });
  showWorst(detail.worst);
}

function showWorst(metrics) {
  const most = Math.max(...metrics.map((metric) => Math.abs(metric.z)), 6);
  keep(
    byId("worst").tBodies[0],
    metrics.map((metric) => [metric.metric, `${metric.z}/${most}`, () => worstRow(metric, most)]),
  );
}

function worstRow(metric, most) {
  const span = make("span", { className: "span" });
  span.style.transform = `scaleX(${Math.min(Math.abs(metric.z) / most, 1)})`;
  return make(
    "tr", {},
    make("td", { className: "code", textContent: metric.metric, title: metric.metric }),
    make("td", { className: "number", textContent: `${metric.z > 0 ? "+" : "−"}${Math.abs(metric.z).toFixed(1)}` }),
    make("td", {}, span),
  );
}
