// How a rescue went, on one line a rank: command, staged, durable, migrated, restored.

import { duration, make, time } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";
const ROW = 26;
const TOP = 40;
const RANKS_MAX = 32;
const WORDS = { CHECKPOINT: "checkpoint", MIGRATE: "migrate", RESTORE: "restore", RESIZE: "resize", DRAIN: "drain", QUARANTINE: "quarantine" };
const BAD = ["failed", "expired", "rejected"];

/** Commands that belong together, newest first: those of an incident; and each regular checkpoint for itself. */
export function rescues(job) {
  const grouped = new Map();
  for (const command of job.commands) {
    const key = command.incident ?? command.id;
    grouped.set(key, [...(grouped.get(key) ?? []), command]);
  }
  const found = [...grouped].map(([key, commands]) => {
    const incident = job.incidents.find((one) => one.id === key) ?? null;
    const from = Math.min(incident?.opened_at ?? Infinity, ...commands.map((one) => one.issued_at));
    const ends = commands.flatMap((one) => one.acknowledged.flatMap((lane) => lane.stages.map((stage) => stage.at)));
    const what = incident ? `alarm on ${incident.node}` : commands[0].action.toLowerCase();
    return { key, incident, commands, from, to: Math.max(from + 0.05, ...commands.map((one) => one.issued_at), ...ends), title: `${time(from)} · ${what}`, alarm: Boolean(incident) };
  });
  return found.sort((a, b) => Number(b.alarm) - Number(a.alarm) || b.from - a.from);
}

function element(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Each rank's stretches and moments over all commands of the rescue. */
function lanesOf(commands) {
  const lanes = new Map();
  for (const command of commands) {
    for (const lane of command.acknowledged) {
      const key = lane.rank === null ? lane.node : `rank ${lane.rank}`;
      const kept = lanes.get(key) ?? { key, order: lane.rank ?? 1e9, nodes: new Set(), parts: [], moments: [] };
      kept.nodes.add(lane.node);
      stretches(kept, command, lane);
      lanes.set(key, kept);
    }
  }
  return [...lanes.values()].sort((a, b) => a.order - b.order || a.key.localeCompare(b.key)).slice(0, RANKS_MAX);
}

function stretches(kept, command, lane) {
  const at = Object.fromEntries(lane.stages.map((stage) => [stage.stage, stage.at]));
  const add = (kind, from, to) => from !== undefined && to !== undefined && kept.parts.push({ kind, from, to });
  if (command.action === "CHECKPOINT") {
    add("staging", at.accepted ?? at.received, at.staged);
    add("writing", at.staged, at.durable);
  } else {
    add(command.action.toLowerCase(), at.accepted ?? at.received, at.done ?? at.failed);
  }
  for (const name of ["staged", "durable"]) if (at[name] !== undefined) kept.moments.push({ kind: name, at: at[name] });
  for (const name of BAD) if (at[name] !== undefined) kept.moments.push({ kind: "bad", at: at[name] });
  if (at.done !== undefined && command.action !== "CHECKPOINT") kept.moments.push({ kind: "done", at: at.done });
}

export function strip(holder, rescue) {
  const stamp = `${holder.clientWidth}/${JSON.stringify(rescue)}`;
  if (holder.dataset.stamp === stamp) return;
  holder.dataset.stamp = stamp;
  const width = Math.max(holder.clientWidth, 240);
  const left = width < 560 ? 84 : 150;
  const right = width - 14;
  const lanes = lanesOf(rescue.commands);
  const height = TOP + lanes.length * ROW + 24;
  const x = (at) => left + ((at - rescue.from) / (rescue.to - rescue.from)) * (right - left);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": spoken(rescue, lanes) });
  lanes.forEach((lane, index) => drawLane(svg, lane, TOP + index * ROW, { x, left, right, narrow: width < 560 }));
  drawOrders(svg, rescue, { x, height, right });
  drawScale(svg, rescue, { x, height, left, right });
  holder.replaceChildren(svg, legend());
}

function drawLane(svg, lane, y, { x, left, right, narrow }) {
  const nodes = [...lane.nodes];
  const label = lane.key.startsWith("rank") && !narrow ? `${lane.key} · ${nodes.join(" → ")}` : lane.key;
  svg.append(element("line", { class: "base", x1: left, x2: right, y1: y + ROW / 2, y2: y + ROW / 2 }));
  svg.append(element("text", { class: "who", x: 0, y: y + ROW / 2 + 4 }, label));
  for (const { kind, from, to } of lane.parts) {
    const bar = element("rect", { class: `bar ${kind}`, x: x(from), y: y + 7, width: Math.max(x(to) - x(from), 2), height: ROW - 14, rx: 2 });
    bar.append(element("title", {}, `${kind}: ${duration(to - from)}`));
    svg.append(bar);
  }
  for (const { kind, at } of lane.moments) {
    const [cx, cy] = [x(at), y + ROW / 2];
    const paths = { staged: `M${cx - 4} ${cy}a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z`, durable: `M${cx} ${cy - 6}l6 6l-6 6l-6-6Z`, done: `M${cx - 4.5} ${cy - 4.5}h9v9h-9Z`, bad: `M${cx - 5} ${cy - 5}l10 10M${cx + 5} ${cy - 5}l-10 10` };
    const mark = element("path", { class: `moment ${kind}`, d: paths[kind] });
    mark.append(element("title", {}, `${kind} ${time(at)}`));
    svg.append(mark);
  }
}

/** When each command was given: a line, and its name above, never over the one before. */
function drawOrders(svg, rescue, { x, height, right }) {
  let taken = [-Infinity, -Infinity];
  const orders = [...rescue.commands].sort((a, b) => a.issued_at - b.issued_at).map((one) => ({ at: one.issued_at, text: WORDS[one.action] ?? one.action }));
  if (rescue.incident?.opened_at) orders.unshift({ at: rescue.incident.opened_at, text: "alarm", alarm: true });
  for (const { at, text, alarm } of orders) {
    const px = x(at);
    svg.append(element("line", { class: alarm ? "order alarm" : "order", x1: px, x2: px, y1: 30, y2: height - 22 }));
    const level = px >= taken[0] ? 0 : px >= taken[1] ? 1 : -1;
    if (level < 0) continue;
    const wide = text.length * 7 + 8;
    const start = Math.min(px, right - wide + 8);
    svg.append(element("text", { class: alarm ? "word alarm" : "word", x: start, y: level ? 13 : 27 }, text));
    taken[level] = start + wide;
  }
}

function drawScale(svg, rescue, { x, height, left, right }) {
  const span = rescue.to - rescue.from;
  const step = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((one) => (span / one) * 56 <= right - left) ?? span;
  for (let at = 0; at <= span + 1e-9; at += step) {
    svg.append(element("text", { class: "scale", x: x(rescue.from + at), y: height - 6, "text-anchor": at ? "middle" : "start" }, at ? `+${Number(at.toFixed(2))} s` : time(rescue.from)));
  }
}

function spoken(rescue, lanes) {
  const orders = rescue.commands.map((one) => `${WORDS[one.action] ?? one.action} after ${duration(one.issued_at - rescue.from)}`);
  const durable = lanes.filter((lane) => lane.moments.some((moment) => moment.kind === "durable")).length;
  return `${rescue.title}: ${orders.join(", ")}; durable at ${durable} of ${lanes.length} ranks; over after ${duration(rescue.to - rescue.from)}. The list below has every stage.`;
}

function legend() {
  const words = [["staging", "stands still, staging"], ["writing", "writing until durable"], ["migrate", "migrating"], ["restore", "restoring"]];
  return make("ul", { className: "legend", attr: { "aria-label": "What the strip shows" } }, ...words.map(([kind, text]) => make("li", {}, make("span", { className: `key ${kind}` }), text)),
    make("li", { textContent: "○ staged  ◆ durable  ■ done" }));
}
