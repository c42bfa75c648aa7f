// Joins the page: listens to the feed, remembers which node is looked at, and says when the data is old.

import { moveByKeys, roles, showFleet, showNode, worst } from "./fleet.js";
import { showJobs } from "./job.js";
import { count, duration, keep, make, NOTHING, say } from "./text.js";

const LOST_MS = 4000;
const byId = (id) => document.getElementById(id);
const page = { chosen: decodeURIComponent(location.hash.slice(1)) || null, last: null, heardAt: performance.now() };

function figures(told) {
  const { counts, latency_ms: latency } = told;
  const both = (pair) => (pair.p50 === null ? [NOTHING, ""] : [duration(pair.p50 / 1000), ` p99 ${duration(pair.p99 / 1000)}`]);
  return [
    ["Frames assessed", count(counts.assessed), ` of history ${count(counts.history)}`],
    ["Telemetry → assessment", ...both(latency.assessment)],
    ["Cause → command", ...both(latency.command)],
    ["Late", count(counts.late), ""],
    ["Duplicates", count(counts.duplicates), ""],
    ["Dead letters", count(counts.dead_letters), ""],
  ];
}

function showFigures(told) {
  keep(byId("figures"), figures(told).map(([name, value, more]) => [
    name, value + more, () => make("div", {}, make("dt", { textContent: name }), make("dd", {}, value, make("small", { textContent: more }))),
  ]));
}

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
  else condition("stale", "stale", log.silent_s === null ? "Nothing has been read from the topics yet." : `Nothing new has been read${since}. What follows may be out of date.`);
}

function show(told) {
  page.last = told;
  say(byId("about"), [told.about.title, told.about.phase].filter(Boolean).join(" · "));
  showCondition(told.log);
  showFigures(told);
  const role = roles(told.jobs);
  const looked = page.chosen ?? worst(told.nodes);
  showFleet(told.nodes, role, looked);
  showJobs(told.jobs);
  if (looked) look(looked, role.get(looked));
}

let asking = false;
async function look(name, role) {
  if (asking) return;
  asking = true;
  try {
    const answer = await fetch(`/api/node/${encodeURIComponent(name)}`);
    if (answer.ok) showNode(await answer.json(), role);
  } catch {
    // The feed says by itself when the page cannot reach forestall.
  } finally {
    asking = false;
  }
}

function choose(name) {
  page.chosen = name;
  history.replaceState(null, "", name ? `#${encodeURIComponent(name)}` : location.pathname);
  if (page.last) show(page.last);
}

function listen() {
  const feed = new EventSource("/events");
  feed.onmessage = (message) => {
    page.heardAt = performance.now();
    show(JSON.parse(message.data));
  };
  feed.onerror = () => {
    if (feed.readyState !== EventSource.CLOSED) return;
    feed.close();
    setTimeout(listen, 1000);
  };
}

byId("fleet").addEventListener("click", (event) => {
  const cell = event.target.closest(".cell");
  if (cell) choose(cell.dataset.node === page.chosen ? null : cell.dataset.node);
});
byId("fleet").addEventListener("keydown", moveByKeys);
addEventListener("resize", () => page.last && show(page.last));
setInterval(() => {
  const silent = performance.now() - page.heardAt;
  if (silent > LOST_MS) condition("lost", "disconnected", `forestall does not answer for ${duration(silent / 1000)}. What follows is the last that was heard; this page connects again by itself.`);
}, 1000);
listen();
