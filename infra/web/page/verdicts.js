// Verdicts: their order in the packed cells, their shapes, and how a cell is unpacked.

const SVG = "http://www.w3.org/2000/svg";
export const VERDICTS = ["healthy", "warming", "unknown", "suspect", "failing"];

/** Paths in a box of 12 by 12; a hollow one is stroked. */
export const SHAPES = {
  healthy: { path: "M2.4 6a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0-7.2 0Z" },
  warming: { path: "M2.2 6a3.8 3.8 0 1 0 7.6 0a3.8 3.8 0 1 0-7.6 0Z", hollow: true, dash: [2.2, 1.8] },
  unknown: { path: "M1.6 1.6h8.8v8.8H1.6Z", hollow: true },
  suspect: { path: "M6 1.2 11.2 10.4H.8Z" },
  failing: { path: "M6 .4 11.6 6 6 11.6.4 6Z" },
};

export function shape(verdict) {
  const { path, hollow, dash } = SHAPES[verdict];
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ class: "shape", viewBox: "0 0 12 12", "aria-hidden": "true" })) svg.setAttribute(name, value);
  const drawn = document.createElementNS(SVG, "path");
  drawn.setAttribute("d", path);
  if (hollow) drawn.setAttribute("class", "hollow");
  if (dash) drawn.setAttribute("stroke-dasharray", dash.join(" "));
  svg.append(drawn);
  return svg;
}

/** A node's three bytes: see infra/web/packed.py. */
export function unpack(cells, index) {
  const [first, p, d] = [cells[3 * index], cells[3 * index + 1], cells[3 * index + 2]];
  return {
    verdict: VERDICTS[first & 7] ?? "unknown",
    past: (first & 8) !== 0,
    incident: (first & 16) !== 0,
    out: (first & 32) !== 0,
    probability: p === 255 || p === undefined ? null : p / 200,
    deviation: d === 0 || d === undefined ? null : (d - 128) / 8,
  };
}
