// A small line chart in SVG: one series, gaps where nothing is known, a reading under the pointer.

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 34;
const BOTTOM = 18;
const TOP = 6;

function shape(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** A step of 1, 2 or 5 times a power of ten, so that at most `most` lines fit. */
function niceStep(span, most) {
  const rough = span / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
}

/** Least and most of the axis, both a multiple of the step between its lines. */
function scale(values, floor, ceiling) {
  const least = floor ?? Math.min(...values);
  const most = Math.max(...values, ceiling ?? least + 1e-6);
  const step = niceStep(most - least, 3);
  return { y0: Math.floor(least / step) * step, y1: Math.ceil(most / step - 1e-9) * step, step };
}

/** Pieces of the series without a gap; a gap is a null, or x going back (a job that was restored). */
function pieces(points) {
  const found = [];
  let piece = [];
  for (const point of points) {
    const last = piece[piece.length - 1];
    if (point.y === null || (last && point.x < last.x)) {
      if (piece.length) found.push(piece);
      piece = [];
    }
    if (point.y !== null) piece.push(point);
  }
  if (piece.length) found.push(piece);
  return found;
}

/**
 * Draw `points` ({x, y, alarm}) into `holder`.
 * `options`: floor, ceiling, label(point), xLabel(x), yLabel(y), name.
 */
export function draw(holder, points, options) {
  const width = Math.max(holder.clientWidth, 160);
  const height = Math.max(holder.clientHeight, 80);
  const known = points.filter((point) => point.y !== null);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": summary(known, options) });
  if (!known.length) {
    svg.append(shape("text", { class: "axis", x: LEFT, y: height / 2 }, "nothing yet"));
    holder.replaceChildren(svg);
    return;
  }
  const xs = points.map((point) => point.x);
  const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
  const { y0, y1, step } = scale(known.map((point) => point.y), options.floor, options.ceiling);
  const right = width - 6;
  const x = (value) => LEFT + ((value - x0) / (x1 - x0 || 1)) * (right - LEFT);
  const y = (value) => height - BOTTOM - ((value - y0) / (y1 - y0 || 1)) * (height - BOTTOM - TOP);
  grid(svg, { x, y, x0, x1, y0, y1, step, right, height }, options);
  alarms(svg, points, x, height);
  for (const piece of pieces(points)) line(svg, piece, x, y, y(y0));
  holder.replaceChildren(svg);
  reading(holder, svg, known, { x, y, height }, options);
}

function summary(known, options) {
  if (!known.length) return `${options.name}: nothing yet`;
  return `${options.name}: last ${options.yLabel(known[known.length - 1].y)}, ${known.length} points`;
}

function grid(svg, { x, y, x0, x1, y0, y1, step, right, height }, options) {
  for (let value = y0; value <= y1 + step * 1e-6; value += step) {
    svg.append(
      shape("line", { class: "grid", x1: LEFT, x2: right, y1: y(value), y2: y(value) }),
      shape("text", { class: "axis", x: LEFT - 7, y: y(value) + 4, "text-anchor": "end" }, options.yLabel(value)),
    );
  }
  svg.append(
    shape("text", { class: "axis", x: x(x0), y: height - 3 }, options.xLabel(x0)),
    shape("text", { class: "axis", x: x(x1), y: height - 3, "text-anchor": "end" }, options.xLabel(x1)),
  );
}

function alarms(svg, points, x, height) {
  let from = null;
  points.forEach((point, index) => {
    if (point.alarm && from === null) from = point.x;
    const last = index === points.length - 1;
    if (from !== null && (!point.alarm || last)) {
      const width = Math.max(x(point.x) - x(from), 2);
      svg.append(shape("rect", { class: "alarm", x: x(from), y: TOP, width, height: height - BOTTOM - TOP }));
      from = null;
    }
  });
}

function line(svg, piece, x, y, base) {
  const path = piece.map((point, index) => `${index ? "L" : "M"}${x(point.x).toFixed(1)} ${y(point.y).toFixed(1)}`).join("");
  const [first, last] = [piece[0], piece[piece.length - 1]];
  svg.append(
    shape("path", { class: "fill", d: `${path}L${x(last.x).toFixed(1)} ${base}L${x(first.x).toFixed(1)} ${base}Z` }),
    shape("path", { class: "line", d: path }),
  );
}

function reading(holder, svg, known, { x, y, height }, options) {
  const cursor = shape("line", { class: "cursor", y1: TOP, y2: height - BOTTOM, visibility: "hidden" });
  const dot = shape("circle", { class: "dot", r: 4, visibility: "hidden" });
  const note = document.createElement("span");
  note.className = "note";
  note.hidden = true;
  svg.append(cursor, dot);
  holder.append(note);
  svg.addEventListener("pointermove", (event) => {
    const at = event.clientX - svg.getBoundingClientRect().left;
    const near = known.reduce((best, point) => (Math.abs(x(point.x) - at) < Math.abs(x(best.x) - at) ? point : best));
    for (const name of ["x1", "x2"]) cursor.setAttribute(name, x(near.x));
    dot.setAttribute("cx", x(near.x));
    dot.setAttribute("cy", y(near.y));
    for (const element of [cursor, dot]) element.setAttribute("visibility", "visible");
    note.hidden = false;
    note.textContent = options.label(near);
    note.style.left = `${Math.min(Math.max(x(near.x) - note.offsetWidth / 2, 0), holder.clientWidth - note.offsetWidth)}px`;
  });
  svg.addEventListener("pointerleave", () => {
    for (const element of [cursor, dot]) element.setAttribute("visibility", "hidden");
    note.hidden = true;
  });
}
