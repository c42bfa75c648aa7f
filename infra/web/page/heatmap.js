// The fleet on one canvas: tiles with names for a few nodes, squares for thousands. Only what changed is drawn again.

import { SHAPES, unpack } from "./verdicts.js";
import { fixed, make, say } from "./text.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const TILES_MAX = 96;
const PATHS = Object.fromEntries(Object.entries(SHAPES).map(([verdict, { path }]) => [verdict, new Path2D(path)]));

/** How large a cell is, and how many stand in a row, for so many nodes in that width. */
export function layout(many, width) {
  if (many <= TILES_MAX) {
    const columns = Math.max(1, Math.floor((width + 8) / (width < 480 ? 106 : 130)));
    return { columns, w: (width + 8) / columns - 8, h: 50, gap: 8, tiles: true };
  }
  const side = Math.max(9, Math.min(30, Math.floor(Math.sqrt((width * Math.max(260, width * 0.3)) / many)) - 2));
  return { columns: Math.max(1, Math.floor((width + 2) / (side + 2))), w: side, h: side, gap: 2, tiles: false };
}

function colours() {
  const names = ["surface", "sunken", "line", "strong", "ink", "quiet", "accent", "healthy", "warming", "suspect", "failing", "unknown", "suspect-wash", "failing-wash"];
  return Object.fromEntries(names.map((name) => [name, css(`--${name}`)]));
}

export function heatMap(state, choose) {
  const canvas = make("canvas", { tabIndex: 0, attr: { role: "application", "aria-label": "Fleet: one cell a node. Arrow keys move, Enter opens the node.", "aria-describedby": "cell-told" } });
  const told = make("p", { id: "cell-told", className: "told", attr: { "aria-live": "polite" } });
  const empty = make("p", { className: "quiet", textContent: "No node has been assessed yet." });
  const holder = make("div", { className: "heat" }, canvas, told, empty);
  const context = canvas.getContext("2d");
  const kept = { drawn: new Uint8Array(0), names: null, width: 0, at: -1, over: false, look: null, colours: colours() };

  const place = (index) => [(index % kept.look.columns) * (kept.look.w + kept.look.gap), Math.floor(index / kept.look.columns) * (kept.look.h + kept.look.gap)];

  function resize() {
    const width = holder.clientWidth;
    if (!width) return false;
    kept.look = layout(state.names.length, width);
    const rows = Math.ceil(state.names.length / kept.look.columns);
    const height = Math.max(rows * (kept.look.h + kept.look.gap) - kept.look.gap, 1);
    const scale = devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = `${height}px`;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    Object.assign(kept, { width, names: state.names, drawn: new Uint8Array(0) });
    return true;
  }

  function draw(all) {
    empty.hidden = state.names.length > 0;
    canvas.hidden = !state.names.length;
    if (holder.hidden || !state.names.length) return;
    if (all || kept.names !== state.names || kept.width !== holder.clientWidth) {
      if (!resize()) return;
    }
    const begun = performance.now();
    const { cells } = state;
    const known = kept.drawn.length === cells.length;
    let many = 0;
    for (let index = 0; index < state.names.length; index += 1) {
      const at = 3 * index;
      if (known && kept.drawn[at] === cells[at] && kept.drawn[at + 1] === cells[at + 1] && (!kept.look.tiles || kept.drawn[at + 2] === cells[at + 2])) continue;
      cell(index);
      many += 1;
    }
    kept.drawn = cells.slice();
    performance.measure("fleet", { start: begun, end: performance.now(), detail: { many } });
    if (performance.getEntriesByName("fleet").length > 400) performance.clearMeasures("fleet");
    tell();
  }

  function cell(index) {
    const [x, y] = place(index);
    const one = unpack(state.cells, index);
    context.clearRect(x - 1, y - 1, kept.look.w + 2, kept.look.h + 2);
    if (kept.look.tiles) tile(context, kept, { x, y, one, name: state.names[index], role: state.roles[index] });
    else square(context, kept, { x, y, one });
    if (index === kept.at) ring(x, y);
  }

  function ring(x, y) {
    context.strokeStyle = kept.colours.ink;
    context.lineWidth = 2;
    context.strokeRect(x, y, kept.look.w, kept.look.h);
  }

  function move(index) {
    const before = kept.at;
    kept.at = index;
    for (const at of [before, index]) if (at >= 0 && at < state.names.length) cell(at);
    tell();
  }

  function tell() {
    const index = kept.at;
    canvas.dataset.node = index < 0 ? "" : state.names[index] ?? "";
    if (index < 0 || index >= state.names.length) return say(told, "Point at a cell, or move with the arrow keys.");
    const one = unpack(state.cells, index);
    const numbers = one.probability === null ? "" : ` · P ${fixed(one.probability, 2)}${one.deviation === null ? "" : ` · deviation ${fixed(one.deviation, 1)} σ`}`;
    const about = [state.roles[index], state.jobs[index] && `job ${state.jobs[index]}`].filter(Boolean).join(" of ");
    return say(told, `${state.names[index]}: ${one.verdict}${one.past ? " (history)" : ""}${numbers}${about ? ` · ${about}` : ""}${one.out ? " · opted out" : ""}`);
  }

  function under(event) {
    if (!kept.look) return -1;
    const box = canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / (kept.look.w + kept.look.gap));
    const line = Math.floor((event.clientY - box.top) / (kept.look.h + kept.look.gap));
    const index = line * kept.look.columns + column;
    return column >= 0 && column < kept.look.columns && index >= 0 && index < state.names.length ? index : -1;
  }

  canvas.addEventListener("pointermove", (event) => {
    const index = under(event);
    if (index >= 0 && index !== kept.at) move(index);
  });
  canvas.addEventListener("click", (event) => {
    const index = under(event);
    if (index >= 0) choose(state.names[index]);
  });
  canvas.addEventListener("focus", () => kept.at < 0 && kept.look && move(0));
  canvas.addEventListener("keydown", (event) => {
    const many = state.names.length;
    const columns = kept.look?.columns ?? 1;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    const next = { Home: 0, End: many - 1 }[event.key] ?? (step ? kept.at + step : -1);
    if ((event.key === "Enter" || event.key === " ") && kept.at >= 0) {
      event.preventDefault();
      choose(state.names[kept.at]);
    } else if (next >= 0 && next < many) {
      event.preventDefault();
      move(next);
    }
  });
  let asked = 0;
  const later = (all) => {
    cancelAnimationFrame(asked);
    asked = requestAnimationFrame(() => draw(all));
  };
  later(true);
  return {
    holder,
    update: () => later(false),
    redraw: () => {
      kept.colours = colours();
      later(true);
    },
    end: () => cancelAnimationFrame(asked),
  };
}

/** Among thousands: colour says the verdict, and so does how much of the square is filled and how. */
function square(context, { look, colours: of }, { x, y, one }) {
  const side = look.w;
  context.globalAlpha = one.past ? 0.5 : 1;
  if (one.verdict === "unknown" || one.verdict === "warming") {
    context.strokeStyle = of[one.verdict];
    context.lineWidth = 1;
    context.setLineDash(one.verdict === "warming" ? [2, 2] : []);
    context.strokeRect(x + 1.5, y + 1.5, side - 3, side - 3);
    context.setLineDash([]);
  } else if (one.verdict === "healthy") {
    context.globalAlpha *= 0.3 + 0.7 * Math.min(1, (one.probability ?? 0) * 2);
    context.fillStyle = of.healthy;
    context.fillRect(x, y, side, side);
  } else {
    context.fillStyle = of[`${one.verdict}-wash`];
    context.fillRect(x, y, side, side);
    context.save();
    context.translate(x, y);
    context.scale(side / 12, side / 12);
    context.fillStyle = of[one.verdict];
    context.fill(PATHS[one.verdict]);
    context.restore();
  }
  context.globalAlpha = 1;
  if (one.out) {
    context.fillStyle = of.ink;
    context.fillRect(x, y + side - 2, side, 2);
  }
}

/** Among few: a tile with the name, what the node is for, the verdict in words, and P as a bar. */
function tile(context, { look, colours: of }, { x, y, one, name, role }) {
  const flagged = one.verdict === "suspect" || one.verdict === "failing";
  context.fillStyle = flagged ? of[`${one.verdict}-wash`] : of.surface;
  context.strokeStyle = flagged ? of[one.verdict] : of.line;
  context.lineWidth = 1;
  context.beginPath();
  context.roundRect(x + 0.5, y + 0.5, look.w - 1, look.h - 1, 7);
  context.fill();
  context.stroke();
  const { hollow, dash } = SHAPES[one.verdict];
  context.save();
  context.translate(x + 10, y + 10);
  context[hollow ? "strokeStyle" : "fillStyle"] = of[one.verdict];
  context.lineWidth = 1.6;
  context.setLineDash(dash ?? []);
  context[hollow ? "stroke" : "fill"](PATHS[one.verdict]);
  context.restore();
  const text = (words, left, top, colour, font, align = "left") => {
    context.font = `${font} ${FONT}`;
    context.fillStyle = colour;
    context.textAlign = align;
    context.fillText(words, left, top);
    return context.measureText(words).width;
  };
  const right = x + look.w - 10;
  const room = look.w - 40;
  const wide = text(fit(context, name, `600 13px ${FONT}`, room), x + 27, y + 20, of.ink, "600 13px");
  if (role && room - wide > 34) text(fit(context, role, `11px ${FONT}`, room - wide + 6), right, y + 20, of.quiet, "11px", "right");
  text(one.verdict, x + 10, y + 37, of[one.verdict], "12px");
  if (one.probability !== null) text(`P ${fixed(one.probability, 2)}`, right, y + 37, flagged ? of.ink : of.quiet, flagged ? "600 12px" : "12px", "right");
  context.fillStyle = of.sunken;
  context.fillRect(x + 10, y + 43, look.w - 20, 3);
  context.fillStyle = of[one.verdict];
  context.fillRect(x + 10, y + 43, (look.w - 20) * (one.probability ?? 0), 3);
  if (one.out) {
    context.fillStyle = of.ink;
    context.fillRect(x + 1, y + 8, 3, look.h - 16);
  }
}

function fit(context, words, font, room) {
  context.font = font;
  if (context.measureText(words).width <= room) return words;
  let cut = words;
  while (cut.length > 2 && context.measureText(`${cut}…`).width > room) cut = cut.slice(0, -1);
  return `${cut}…`;
}
