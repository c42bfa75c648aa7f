// Joins the page: listens to the feed, shows what the address names, and says when the data is old.

import { decisionView } from "./decision.js";
import { fleetView } from "./fleet.js";
import { jobView, jobsView } from "./job.js";
import { nodeView } from "./node.js";
import { pipelineView } from "./pipeline.js";
import { savingsView } from "./savings.js";
import { count, duration, keepAsking, make, say, time } from "./text.js";

const LOST_MS = 4000;
/** The breaker stands in the workers' snapshots, which are not read more often for its sake. */
const BREAKER_MS = 30_000;
const byId = (id) => document.getElementById(id);
const state = { names: [], roles: [], jobs: [], named: 0, cells: new Uint8Array(0), tally: {}, digest: null };
const ROUTES = { node: nodeView, job: jobView, decision: decisionView, jobs: jobsView, savings: savingsView, pipeline: pipelineView };
const WAYS = { node: "fleet", job: "jobs", decision: "jobs" };
let view = null;
let shown = null;
let heardAt = performance.now();
let tripped = [];

function condition(name, text, banner) {
  byId("condition").dataset.condition = name;
  say(byId("condition"), text);
  byId("banner").hidden = !banner;
  say(byId("banner"), banner ?? "");
}

function showCondition(log) {
  const since = log.silent_s === null ? "" : ` for ${duration(log.silent_s)}`;
  if (log.condition === "live") condition("live", "live", null);
  else if (log.condition === "away") condition("away", "broker away", `The broker does not answer${since}. What follows is the last that was read; reading goes on by itself when it is back.`);
  else if (log.condition === "broken") condition("broken", "reading ended", `Reading the topics has ended on a fault${since}: ${log.fault}. What follows is the last that was read; start this process again.`);
  else condition("stale", "stale", log.silent_s === null ? "Nothing has been read from the topics yet." : `Nothing new has been read${since}. What follows may be out of date.`);
}

/** Pauses and opt-outs, on whatever page one is: they explain why nothing is done. */
function showBrakes(brakes) {
  const said = [
    ...tripped.map((one) => `The breaker is open since ${time(one.at)}: ${one.outs} of ${one.fleet} nodes are out, ${one.bound} may be. No node is left until somebody closes it: forestall resume --breaker`),
    ...brakes.pauses.map((one) => `Paused: ${one.job === null ? "all jobs" : `job ${one.job}`}, by ${one.by} at ${time(one.at)}${one.why ? ` (${one.why})` : ""}`),
    ...(brakes.opt_outs.length ? [`Kept out of what forestall does: ${brakes.opt_outs.slice(0, 6).map((one) => one.node).join(", ")}${brakes.opt_outs.length > 6 ? ` and ${count(brakes.opt_outs.length - 6)} more` : ""}`] : []),
  ];
  const stamp = said.join("\n");
  const holder = byId("brakes");
  if (holder.dataset.stamp === stamp) return;
  holder.dataset.stamp = stamp;
  holder.hidden = !said.length;
  holder.replaceChildren(...said.map((text) => make("p", { textContent: text })));
}

function named() {
  const [kind, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  return { kind: ROUTES[kind] ? kind : "fleet", name: decodeURIComponent(rest.join("/")) };
}

/** Take the view away that was there, and begin the one that the address names. */
function show() {
  const { kind, name } = named();
  const key = `${kind}/${name}`;
  if (key === shown) return;
  const first = shown === null;
  shown = key;
  view?.end?.();
  const main = byId("view");
  main.replaceChildren();
  for (const way of byId("ways").children) {
    if (way.dataset.way === (WAYS[kind] ?? kind)) way.setAttribute("aria-current", "page");
    else way.removeAttribute("aria-current");
  }
  view = (ROUTES[kind] ?? fleetView)(main, name, state);
  document.title = [name || (kind === "fleet" ? "" : kind), "forestall"].filter(Boolean).join(" · ");
  if (!first) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  view.update?.();
}

function heard(message) {
  heardAt = performance.now();
  return JSON.parse(message.data);
}

const bytesOf = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));

function listen() {
  const feed = new EventSource("/events");
  feed.addEventListener("names", (message) => Object.assign(state, heard(message)));
  feed.addEventListener("cells", (message) => {
    const told = heard(message);
    if (told.named !== state.named) return;
    Object.assign(state, { cells: bytesOf(told.cells), tally: told.tally });
    view?.cells?.();
  });
  feed.addEventListener("digest", (message) => {
    state.digest = heard(message);
    say(byId("about"), [state.digest.about.title, state.digest.about.phase].filter(Boolean).join(" · "));
    showCondition(state.digest.log);
    showBrakes(state.digest.brakes);
    view?.update?.();
    remember(state.digest.watch);
  });
  feed.onerror = () => {
    if (feed.readyState !== EventSource.CLOSED) return;
    feed.close();
    setTimeout(listen, 1000);
  };
}

/** When an alarm was first on the screen, beside when its assessment was appended: a mark that anybody can read. */
const remembered = new Set();
function remember(watched) {
  const fresh = watched.filter((one) => one.alarmed !== null && !remembered.has(`${one.node}/${one.alarmed}`));
  if (!fresh.length) return;
  requestAnimationFrame(() => {
    for (const { node, alarmed } of fresh) {
      remembered.add(`${node}/${alarmed}`);
      performance.mark("alarm", { detail: { node, alarmed, shown: Date.now() / 1000 } });
    }
  });
}

setInterval(() => {
  const silent = performance.now() - heardAt;
  if (silent > LOST_MS) condition("lost", "disconnected", `forestall does not answer for ${duration(silent / 1000)}. What follows is the last that was heard; this page connects again by itself.`);
}, 1000);
addEventListener("hashchange", show);
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("view").focus();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => view?.redraw?.());
let resizing = 0;
addEventListener("resize", () => {
  cancelAnimationFrame(resizing);
  resizing = requestAnimationFrame(() => view?.redraw?.());
});
keepAsking("/api/pipeline", BREAKER_MS, (answer) => {
  tripped = (answer?.found?.brakes.breakers ?? []).flatMap((one) => one.tripped ?? []);
  if (state.digest) showBrakes(state.digest.brakes);
});
show();
listen();
