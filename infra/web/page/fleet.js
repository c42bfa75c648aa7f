// The first page: figures, the heat map, the nodes that need a look, and what happened last.

import { heatMap } from "./heatmap.js";
import { fleetTable } from "./fleet_table.js";
import { shape } from "./verdicts.js";
import { count, duration, fixed, keep, link, make, NOTHING, panel, row, say, table, time } from "./text.js";

const COUNTED = ["failing", "suspect", "unknown", "warming", "healthy"];

export function fleetView(main, _, state) {
  const figures = make("dl", { className: "figures", attr: { "aria-label": "Fleet and pipeline" } });
  const fleet = panel("Fleet", { className: "wide" });
  const map = heatMap(state, (name) => { location.hash = `#/node/${encodeURIComponent(name)}`; });
  const list = fleetTable(state);
  const toggle = make("button", { type: "button", className: "plain", textContent: "Show as a table", attr: { "aria-pressed": "false" } });
  toggle.addEventListener("click", () => {
    const tabled = toggle.getAttribute("aria-pressed") !== "true";
    toggle.setAttribute("aria-pressed", String(tabled));
    say(toggle, tabled ? "Show as a map" : "Show as a table");
    map.holder.hidden = tabled;
    list.holder.hidden = !tabled;
    if (tabled) list.update();
    else map.redraw();
  });
  fleet.querySelector(".head").append(toggle);
  fleet.append(map.holder, list.holder, legend());
  const watch = panel("Needs a look");
  const watched = table("Nodes that are not healthy, the worst first", ["node", "verdict", { text: "P", number: true }, { text: "deviation", number: true }, "role"]);
  const none = make("p", { className: "quiet", textContent: "Every node that is known is healthy or warming up." });
  watch.append(watched, none);
  const recent = panel("What happened last");
  const happened = make("ol", { className: "recent" });
  const quiet = make("p", { className: "quiet", textContent: "No incident and no command yet." });
  recent.append(happened, quiet);
  main.append(figures, fleet, make("div", { className: "pair" }, watch, recent));
  return {
    cells: () => {
      map.update();
      if (!list.holder.hidden) list.update();
      say(fleet.aside, tally(state.tally));
    },
    update: () => {
      if (!state.digest) return;
      showFigures(figures, state);
      showWatch(watched.tBodies[0], state.digest.watch);
      watched.hidden = !state.digest.watch.length;
      none.hidden = !watched.hidden;
      showRecent(happened, state.digest.recent);
      quiet.hidden = state.digest.recent.length > 0;
    },
    redraw: () => map.redraw(),
    end: () => map.end(),
  };
}

function tally(many) {
  return COUNTED.filter((verdict) => many[verdict]).map((verdict) => `${count(many[verdict])} ${verdict}`).join(" · ");
}

function legend() {
  const words = { warming: "warming: too little seen", unknown: "unknown: no data" };
  return make("ul", { className: "legend", attr: { "aria-label": "Verdicts" } }, ...COUNTED.map((verdict) =>
    make("li", { data: { verdict } }, shape(verdict), words[verdict] ?? verdict)));
}

function showFigures(holder, { digest, tally: many, names }) {
  const both = (pair) => (pair.p50 === null ? [NOTHING, ""] : [duration(pair.p50 / 1000), ` p99 ${duration(pair.p99 / 1000)}`]);
  const alarms = (many.failing ?? 0) + (many.suspect ?? 0);
  const health = digest.health ? [["Fleet health", fixed(digest.health.number, 1), " of 100"]] : [];
  const figures = [
    ...health,
    ["Nodes", count(names.length), ""],
    ["Suspected", count(alarms), many.failing ? ` ${count(many.failing)} failing` : ""],
    ["Jobs", count(digest.jobs_known), ""],
    ["Frames assessed", count(digest.counts.assessed), ""],
    ["Telemetry → assessment", ...both(digest.latency_ms.assessment)],
    ["Cause → command", ...both(digest.latency_ms.command)],
  ];
  keep(holder, figures.map(([name, value, more]) => [
    name, value + more, () => make("div", {}, make("dt", { textContent: name }), make("dd", {}, value, make("small", { textContent: more }))),
  ]));
}

function showWatch(body, watched) {
  keep(body, watched.map((one) => [one.node, JSON.stringify(one), () => {
    const filled = row(
      { of: link("node", one.node) },
      { of: make("span", { className: "verdict", data: { verdict: one.verdict } }, shape(one.verdict), one.verdict) },
      { of: fixed(one.probability, 2), number: true },
      { of: one.deviation === null ? NOTHING : `${fixed(one.deviation, 1)} σ`, number: true },
      { of: one.role ? make("span", {}, `${one.role} `, link("job", one.job)) : "" },
    );
    return filled;
  }]));
}

function showRecent(list, recent) {
  keep(list, recent.map((one) => [one.id, `${one.kind}${one.ended}`, () => make(
    "li", {},
    make("time", { textContent: time(one.at) }),
    make("span", { className: "tag", textContent: one.kind, data: { kind: one.kind === "INCIDENT" ? "opened" : one.kind } }),
    make("span", { className: "what" }, link("decision", one.id, one.node ?? "every rank"), one.spare ? ` → ${one.spare}` : "", make("span", { className: "why", textContent: `job ${one.job} · ${one.rule}` })),
    make("span", { className: "sum", textContent: one.ended, data: { ended: one.ended } }),
  )]));
}

