// Line charts, drawn by uPlot on a canvas: one colour scheme, gaps where nothing is known, a reading under the pointer.

import { NOTHING } from "./text.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

function axes(options) {
  const ink = { stroke: css("--quiet"), font: FONT, grid: { stroke: css("--line"), width: 1 }, ticks: { show: false } };
  return [
    { ...ink, size: 22, space: 90, gap: 4, grid: { show: false }, values: (_, splits) => splits.map(options.xLabel) },
    { ...ink, size: 44, space: 28, gap: 4, values: (_, splits) => splits.map(options.yLabel) },
  ];
}

/** What lies behind the line: stretches of alarm, single moments, and the stretch that the model reads. */
function behind(u, marks) {
  const { ctx, bbox } = u;
  const x = (value) => u.valToPos(value, "x", true);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const { from, to, colour, alpha } of marks.bands ?? []) {
    ctx.globalAlpha = alpha ?? 0.12;
    ctx.fillStyle = css(colour);
    ctx.fillRect(x(from), bbox.top, Math.max(x(to) - x(from), 2), bbox.height);
  }
  ctx.globalAlpha = 1;
  ctx.setLineDash([4, 3]);
  ctx.lineWidth = devicePixelRatio;
  for (const { at, colour } of marks.moments ?? []) {
    ctx.strokeStyle = css(colour);
    ctx.beginPath();
    ctx.moveTo(x(at), bbox.top);
    ctx.lineTo(x(at), bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function range(options) {
  return (_, low, high) => {
    const least = options.floor ?? low ?? 0;
    const most = Math.max(options.ceiling ?? -Infinity, high ?? 1);
    const room = most - least || Math.abs(most) * 0.1 || 1;
    return [options.floor ?? least - room * 0.08, options.ceiling !== undefined && most <= options.ceiling ? options.ceiling : most + room * 0.08];
  };
}

function parts(holder, options, told) {
  const line = css(options.colour ?? "--accent");
  return {
    width: Math.max(holder.clientWidth, 120),
    height: Math.max(holder.clientHeight, 70),
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: { x: { time: false }, y: { range: range(options) } },
    axes: axes(options),
    series: [{}, { stroke: line, width: 1.75, fill: options.fill === false ? undefined : `${line}1a`, points: { show: false }, spanGaps: false }],
    hooks: {
      drawClear: [(u) => behind(u, told.marks)],
      setCursor: [(u) => read(u, holder, options)],
    },
  };
}

function read(u, holder, options) {
  const note = holder.querySelector(".note");
  const at = u.cursor.idx;
  const value = at === null || at === undefined ? null : u.data[1][at];
  note.hidden = value === null || value === undefined;
  if (note.hidden) return;
  note.textContent = `${options.xLabel(u.data[0][at])}  ${options.label(value)}`;
  const left = u.cursor.left + u.bbox.left / devicePixelRatio;
  note.style.left = `${Math.min(Math.max(left - note.offsetWidth / 2, 0), holder.clientWidth - note.offsetWidth)}px`;
}

/**
 * A chart in `holder`. `options`: name, xLabel(x), yLabel(y), label(y), floor, ceiling, colour, fill.
 * `set(xs, ys, marks)` shows numbers; `redraw()` after another width or another colour scheme.
 */
export function chart(holder, options) {
  const told = { data: [[], []], marks: {} };
  const note = Object.assign(document.createElement("span"), { className: "note", hidden: true });
  holder.classList.add("chart");
  holder.setAttribute("role", "img");
  holder.append(note);
  let plot = null;
  const build = () => {
    plot?.destroy();
    plot = new uPlot(parts(holder, options, told), told.data, holder);
  };
  const set = (xs, ys, marks = {}) => {
    told.marks = marks;
    told.data = [xs, ys];
    const known = ys.filter((value) => value !== null && value !== undefined);
    const last = known.length ? options.label(known[known.length - 1]) : NOTHING;
    holder.setAttribute("aria-label", `${options.name}: ${known.length ? `last ${last}, ${known.length} points` : "nothing yet"}`);
    if (!plot) build();
    else plot.setData(told.data);
  };
  return { set, redraw: () => plot && build(), end: () => plot?.destroy() };
}
