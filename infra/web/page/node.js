// A node: probability and deviation over time, its metrics over the model's window and before, and its incidents.

import { chart } from "./charts.js";
import { shape } from "./verdicts.js";
import { fixed, keep, keepAsking, link, make, NOTHING, panel, row, say, table, time } from "./text.js";

const CHARTED = 6;
const short = (value) => String(Number(value.toPrecision(3)));

export function nodeView(main, name) {
  const top = panel(`Node ${name}`);
  const body = make("div", { hidden: true });
  const absent = make("p", { className: "quiet", textContent: "Asking for what is known of it." });
  const [p, d] = [figure("Fault probability"), figure("Transition deviation, in σ")];
  const worst = table("Metrics furthest from the node’s own baseline", ["metric", { text: "robust z", number: true }, "size"]);
  worst.classList.add("worst");
  body.append(make("div", { className: "charts two" }, p.figure, d.figure), make("h3", { textContent: "Furthest from its own baseline" }), worst);
  top.append(absent, body);
  const metrics = panel("Metrics");
  const picked = make("div", { className: "charts three" });
  const lacking = make("p", { className: "quiet", textContent: "Reading its last frames." });
  const choice = make("select", { id: "pick-metric" });
  const picker = make("p", { className: "pick", hidden: true }, make("label", { htmlFor: "pick-metric", textContent: "Show also" }), choice);
  metrics.append(lacking, picked, picker);
  const marks = panel("Incidents");
  const incidents = table("Incidents of this node", ["opened", "state", { text: "P", number: true }, { text: "deviation", number: true }, "job", "why"]);
  const none = make("p", { className: "quiet", textContent: "No incident on this node is known." });
  marks.append(make("div", { className: "scrolls" }, incidents), none);
  main.append(top, metrics, marks);

  const charts = {
    p: chart(p.holder, { name: "Fault probability", floor: 0, ceiling: 1, xLabel: time, yLabel: (v) => v.toFixed(1), label: (v) => `P ${v.toFixed(3)}`, colour: "--accent" }),
    d: chart(d.holder, { name: "Transition deviation", xLabel: time, yLabel: short, label: (v) => `${v.toFixed(2)} σ`, colour: "--deviation" }),
  };
  const known = { detail: null, window: null, also: null, drawn: new Map() };

  function take(detail) {
    body.hidden = !detail;
    absent.hidden = Boolean(detail);
    if (!detail) return say(absent, `Nothing is known of a node ${name}.`);
    known.detail = detail;
    top.aside.replaceChildren(make("span", { className: "verdict", data: { verdict: detail.verdict } }, shape(detail.verdict), detail.verdict), [
      "", detail.role, detail.out ? "opted out" : "", `seen ${time(detail.ts)}`].filter((text, index) => text || !index).join(" · "), detail.job ? " · job " : "", detail.job ? link("job", detail.job) : "");
    say(p.now, fixed(detail.probability, 3));
    say(d.now, fixed(detail.deviation, 2));
    const xs = detail.points.map((point) => point[0]);
    charts.p.set(xs, detail.points.map((point) => point[1]), marksOf(detail));
    charts.d.set(xs, detail.points.map((point) => point[2]), marksOf(detail));
    showWorst(worst.tBodies[0], detail.worst);
    showIncidents(incidents, none, detail.incidents);
    return showMetrics();
  }

  const unit = (metric) => (metric.unit === "1" ? "" : ` ${metric.unit}`.trimEnd());

  function takeWindow(answer) {
    if (!answer) return;
    if (!answer.found) return say(lacking, known.window ? `No newer frames: ${answer.lacking}.` : `Its metrics cannot be shown: ${answer.lacking}.`);
    known.window = answer.found;
    return showMetrics();
  }

  function showMetrics() {
    const { window: told, detail } = known;
    if (!told) return;
    say(lacking, `The last ${told.ts.length} frames on partition ${told.partition}; what is shaded is the window of ${told.window} that the model reads.`);
    const named = new Map(told.metrics.map((metric) => [metric.name, metric]));
    const shown = [...new Set([...(detail?.worst ?? []).map((one) => one.metric), ...told.metrics.map((one) => one.name)])]
      .filter((metric) => named.has(metric)).slice(0, CHARTED);
    if (known.also && !shown.includes(known.also)) shown.push(known.also);
    offer(told.metrics, shown);
    for (const [metric, one] of known.drawn) if (!shown.includes(metric)) { one.chart.end(); one.figure.remove(); known.drawn.delete(metric); }
    for (const metric of shown) drawMetric(named.get(metric), told, detail);
    const wanted = shown.map((metric) => known.drawn.get(metric).figure);
    if (wanted.some((one, index) => picked.children[index] !== one)) picked.append(...wanted);
  }

  function drawMetric(metric, told, detail) {
    if (!known.drawn.has(metric.name)) {
      const made = figure(metric.name, true);
      picked.append(made.figure);
      known.drawn.set(metric.name, { ...made, chart: chart(made.holder, { name: metric.name, xLabel: time, yLabel: compact, label: (v) => `${short(v)}${unit(metric)}`, colour: "--metric", fill: false }) });
    }
    const one = known.drawn.get(metric.name);
    const last = metric.values.filter((value) => value !== null).pop();
    say(one.now, last === undefined ? NOTHING : `${short(last)}${unit(metric)}${metric.counter ? " in all" : ""}`);
    const from = told.ts[Math.max(0, told.ts.length - told.window)];
    const windowed = { from, to: told.ts[told.ts.length - 1], colour: "--accent", alpha: 0.07 };
    const marks = detail ? marksOf(detail) : {};
    one.chart.set(told.ts, metric.values, { bands: [windowed, ...(marks.bands ?? [])], moments: marks.moments });
  }

  function offer(metrics, shown) {
    const rest = metrics.map((one) => one.name).filter((metric) => !shown.includes(metric) || metric === known.also);
    picker.hidden = !rest.length;
    const stamp = rest.join();
    if (choice.dataset.stamp === stamp) return;
    choice.dataset.stamp = stamp;
    choice.replaceChildren(make("option", { value: "", textContent: `another of ${metrics.length} metrics` }), ...rest.map((metric) => make("option", { value: metric, textContent: metric, selected: metric === known.also })));
  }

  choice.addEventListener("change", () => {
    known.also = choice.value || null;
    showMetrics();
  });
  const ends = [
    keepAsking(`/api/node/${encodeURIComponent(name)}`, 1000, take),
    keepAsking(`/api/node/${encodeURIComponent(name)}/metrics`, 2500, takeWindow),
  ];
  const all = () => [charts.p, charts.d, ...[...known.drawn.values()].map((one) => one.chart)];
  return { redraw: () => all().forEach((one) => one.redraw()), end: () => { ends.forEach((end) => end()); all().forEach((one) => one.end()); } };
}

export const compact = (value) => new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 }).format(value);

export function figure(title, code = false) {
  const now = make("output");
  const holder = make("div");
  return { now, holder, figure: make("figure", {}, make("figcaption", {}, make("span", { className: code ? "code" : "", textContent: title, title }), now), holder) };
}

/** Stretches in which the verdict was an alarm, and the moments at which incidents opened and closed. */
function marksOf(detail) {
  const bands = [];
  let from = null;
  detail.points.forEach(([ts, , , verdict], index) => {
    const alarm = verdict === "failing" || verdict === "suspect";
    if (alarm && from === null) from = ts;
    if (from !== null && (!alarm || index === detail.points.length - 1)) {
      bands.push({ from, to: ts, colour: "--failing" });
      from = null;
    }
  });
  const told = detail.incidents.filter((one) => !one.history);
  const moments = [
    ...told.filter((one) => one.opened_at !== null).map((one) => ({ at: one.opened_at, colour: "--failing" })),
    ...told.filter((one) => one.state === "closed").map((one) => ({ at: one.at, colour: "--healthy" })),
  ];
  return { bands, moments };
}

function showWorst(body, metrics) {
  const most = Math.max(...metrics.map((metric) => Math.abs(metric.z)), 6);
  keep(body, metrics.map((metric) => [metric.metric, `${metric.z}/${most}`, () => {
    const span = make("span", { className: "span" });
    span.style.transform = `scaleX(${Math.min(Math.abs(metric.z) / most, 1)})`;
    return row({ of: metric.metric, code: true }, { of: `${metric.z > 0 ? "+" : "−"}${Math.abs(metric.z).toFixed(1)}`, number: true }, { of: span });
  }]));
}

function showIncidents(into, none, incidents) {
  into.hidden = !incidents.length;
  none.hidden = incidents.length > 0;
  const newest = [...incidents].sort((a, b) => (b.opened_at ?? b.at) - (a.opened_at ?? a.at)).slice(0, 20);
  keep(into.tBodies[0], newest.map((one) => [one.id, JSON.stringify(one), () => row(
    time(one.opened_at ?? one.at), one.history ? `${one.state} (history)` : one.state,
    { of: fixed(one.probability, 3), number: true }, { of: `${fixed(one.deviation, 2)} σ`, number: true },
    { of: link("job", one.job) }, { of: link("decision", one.id, "explain") },
  )]));
}
