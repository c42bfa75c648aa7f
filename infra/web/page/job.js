// A job: its ranks, its loss, its ledger, and what was ordered with every acknowledgement.

import { draw } from "./chart.js";
import { count, duration, fixed, keep, make, NOTHING, say, time } from "./text.js";

const STAGES = ["received", "accepted", "staged", "durable", "done"];
const BAD = ["failed", "expired", "rejected"];
const BUCKETS = ["productive", "checkpoint", "recomputed", "migration", "restart", "waiting", "detection", "degraded"];
const ENTRIES_MAX = 60;

export function showJobs(jobs) {
  const holder = document.getElementById("jobs");
  keep(holder, jobs.map((job) => [job.job, "panel", () => newPanel(job.job)]));
  jobs.forEach((job, index) => fillPanel(holder.children[index], job));
}

function newPanel(name) {
  const id = `job-${name}`;
  return make(
    "section", { className: "panel job", attr: { "aria-labelledby": id } },
    make("div", { className: "head" }, make("h2", { id, textContent: `Job ${name}` }), make("p", { className: "quiet now" })),
    make(
      "div", { className: "job-top" },
      make("div", {}, make("h3", { textContent: "Ranks" }), rankTable()),
      make("figure", {}, make("figcaption", {}, "Loss by step ", make("output", { className: "loss-now" })), make("div", { className: "chart loss" })),
      make("div", { className: "ledger" }),
    ),
    make("h3", { textContent: "What happened" }),
    make("ol", { className: "timeline" }),
    make("p", { className: "quiet no-entries", textContent: "No incident and no command yet." }),
  );
}

function rankTable() {
  const heads = ["rank", "node", "step", "s a step", "heard"];
  const cells = heads.map((text, index) => make("th", { textContent: text, className: index > 1 ? "number" : "", attr: { scope: "col" } }));
  return make("table", { className: "ranks" }, make("thead", {}, make("tr", {}, ...cells)), make("tbody"));
}

function fillPanel(panel, job) {
  const at = (selector) => panel.querySelector(selector);
  const spares = job.spares.length ? `spares ${job.spares.join(", ")}` : "no spare left";
  const vacated = job.vacated.length ? ` · vacated ${job.vacated.join(", ")}` : "";
  say(at(".now"), `step ${count(job.step)} · ${spares}${vacated}`);
  keep(at(".ranks").tBodies[0], job.ranks.map((rank) => [`rank-${rank.rank}`, JSON.stringify(rank), () => rankRow(rank)]));
  const loss = job.losses.map(([, step, value]) => ({ x: step, y: value }));
  say(at(".loss-now"), loss.length ? fixed(loss[loss.length - 1].y, 4) : NOTHING);
  draw(at(".loss"), loss, {
    name: "Loss by step", xLabel: (step) => `step ${count(step)}`, yLabel: (value) => String(Number(value.toPrecision(2))),
    label: (point) => `step ${count(point.x)}  ${point.y.toFixed(4)}`,
  });
  showLedger(at(".ledger"), job.ledger);
  showTimeline(at(".timeline"), at(".no-entries"), job);
}

function rankRow(rank) {
  return make(
    "tr", {},
    make("td", { textContent: rank.rank }),
    make("td", { className: "code", textContent: rank.node ?? NOTHING }),
    make("td", { className: "number", textContent: count(rank.step) }),
    make("td", { className: "number", textContent: fixed(rank.step_s, 3) }),
    make("td", { className: "number", textContent: time(rank.at) }),
  );
}

function showLedger(holder, ledger) {
  const stamp = JSON.stringify(ledger ?? null);
  if (holder.dataset.stamp === stamp) return;
  holder.dataset.stamp = stamp;
  holder.replaceChildren(make("h3", { textContent: "Ledger: where the seconds went" }));
  if (!ledger) {
    holder.append(make("p", { className: "quiet", textContent: "Nothing to count yet." }));
    return;
  }
  const spent = BUCKETS.map((name) => [name, ledger.buckets[name] ?? 0]).filter(([, seconds]) => seconds > 0);
  const bar = make("div", { className: "ledger-bar", attr: { "aria-hidden": "true" } });
  for (const [bucket, seconds] of spent) {
    const piece = make("i", { data: { bucket } });
    piece.style.flexGrow = seconds;
    bar.append(piece);
  }
  const share = (seconds) => `${((100 * seconds) / (ledger.wall_s || 1)).toFixed(1)} %`;
  const rows = spent.map(([bucket, seconds]) =>
    make(
      "tr", {},
      make("td", {}, make("span", { className: "swatch", data: { bucket } }), bucket),
      make("td", { className: "number", textContent: duration(seconds) }),
      make("td", { className: "number", textContent: share(seconds) }),
    ),
  );
  holder.append(bar, make("table", {}, make("tbody", {}, ...rows)));
  if (ledger.saying) holder.append(make("p", { className: "ledger-note", textContent: ledger.saying }));
}

function showTimeline(list, none, job) {
  const entries = [
    ...job.incidents.filter((incident) => !incident.history).map((incident) => ({ at: incident.opened_at ?? incident.at, key: `i-${incident.id}`, incident })),
    ...job.commands.map((command) => ({ at: command.issued_at, key: `c-${command.id}`, command })),
  ];
  entries.sort((a, b) => b.at - a.at || a.key.localeCompare(b.key));
  none.hidden = entries.length > 0;
  keep(
    list,
    entries.slice(0, ENTRIES_MAX).map((entry) => [
      entry.key,
      JSON.stringify(entry.incident ?? entry.command),
      (old) => make("li", {}, entry.incident ? incidentEntry(entry.incident) : commandEntry(entry.command, old)),
    ]),
  );
}

function incidentEntry(incident) {
  const words = { opened: "INCIDENT", changed: "INCIDENT", closed: "CLOSED" };
  const within = incident.horizon_s ? ` within ${duration(incident.horizon_s)}` : "";
  return make(
    "div", { className: "entry" },
    make("time", { textContent: time(incident.opened_at ?? incident.at) }),
    make("span", { className: "tag", textContent: words[incident.state], data: { kind: incident.state } }),
    make("span", { className: "what" }, `${incident.node} is suspected`,
      make("span", { className: "why", textContent: `P ${fixed(incident.probability, 3)}${within}, deviation ${fixed(incident.deviation, 2)} σ` })),
    make("span", { className: "sum", textContent: incident.state === "closed" ? `closed ${time(incident.at)}` : "open" }),
  );
}

function commandEntry(command, old) {
  const { ended, text } = progress(command);
  const summary = make(
    "summary", { className: "entry" },
    make("time", { textContent: time(command.issued_at) }),
    make("span", { className: "tag", textContent: command.action, data: { kind: command.action } }),
    make("span", { className: "what" }, target(command), make("span", { className: "why", textContent: why(command) })),
    make("span", { className: "sum", textContent: text, data: { ended } }),
  );
  const open = old?.querySelector("details")?.open ?? command.incident !== null;
  return make("details", { open }, summary, lanes(command), numbers(command));
}

function target(command) {
  const ranks = command.node === null ? "every rank" : `rank ${command.ranks.join(", ")}`;
  if (command.action === "MIGRATE") return `${ranks} away from ${command.node}${command.spare ? ` to ${command.spare}` : ""}`;
  if (command.action === "RESTORE") return `${ranks} on ${command.node} from step ${count(command.step)}`;
  return command.node === null ? ranks : `${ranks} on ${command.node}`;
}

function why(command) {
  const took = command.latency_ms === null ? "" : `decided in ${duration(command.latency_ms / 1000)}`;
  return [command.reason.rule, took].filter(Boolean).join(" · ");
}

/** The numbers that the rule was given, each with its name. */
function numbers(command) {
  const pairs = Object.entries(command.reason.numbers).map(([name, value]) =>
    make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: Number(value.toPrecision(4)) })));
  return make("dl", { className: "numbers", attr: { "aria-label": "What the rule was given" } }, ...pairs);
}

/** The last stage that all reached, as `4/4 durable`, or the first thing that went wrong. */
function progress(command) {
  const lanesOf = command.acknowledged;
  const wrong = lanesOf.flatMap((lane) => lane.stages).find((stage) => BAD.includes(stage.stage));
  if (wrong) return { ended: wrong.stage, text: wrong.stage };
  const reached = (stage) => lanesOf.filter((lane) => lane.stages.some((entered) => entered.stage === stage)).length;
  const last = [...STAGES].reverse().find((stage) => reached(stage) > 0);
  return last ? { ended: last, text: `${reached(last)}/${lanesOf.length} ${last}` } : { ended: "none", text: "no answer yet" };
}

function lanes(command) {
  const heads = ["who", ...STAGES, "step"].map((text, index) =>
    make("th", { textContent: text, className: index > STAGES.length ? "number" : "", attr: { scope: "col" } }));
  const rows = command.acknowledged.map((lane) => laneRow(lane, command));
  if (!rows.length) return make("p", { className: "lanes quiet", textContent: "No cluster agent has answered." });
  return make("div", { className: "lanes" }, make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows)));
}

function laneRow(lane, command) {
  const wrong = lane.stages.find((stage) => BAD.includes(stage.stage));
  const cells = STAGES.map((name) => {
    const stage = lane.stages.find((entered) => entered.stage === name);
    if (stage) return make("td", { className: "stage", textContent: `+${duration(Math.max(0, stage.at - command.issued_at))}`, title: took(stage) });
    if (name === "done" && wrong) return make("td", { className: "stage bad", textContent: `${wrong.stage}${wrong.reason ? `: ${wrong.reason}` : ""}` });
    return make("td", { className: "stage none", textContent: NOTHING });
  });
  const step = lane.stages.map((stage) => stage.step).filter((value) => value !== null).pop();
  const who = lane.rank === null ? lane.node : `rank ${lane.rank} · ${lane.node}`;
  return make("tr", {}, make("td", { textContent: who }), ...cells, make("td", { className: "number", textContent: count(step) }));
}

function took(stage) {
  return stage.seconds === null ? time(stage.at) : `${time(stage.at)}, took ${duration(stage.seconds)}`;
}
