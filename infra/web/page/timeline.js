// What happened to a job, newest first: incidents, and commands with every acknowledgement.

import { count, duration, fixed, keep, link, make, NOTHING, time } from "./text.js";

export const STAGES = ["received", "accepted", "staged", "durable", "done"];
export const BAD = ["failed", "expired", "rejected"];
const ENTRIES_MAX = 60;

export function timeline(list, none, job) {
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
    make("span", { className: "what" }, link("node", incident.node), " is suspected · ", link("decision", incident.id, "explain"),
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
    make("span", { className: "what" }, target(command), make("span", { className: "why" }, why(command), " · ", link("decision", command.id, "explain"))),
    make("span", { className: "sum", textContent: text, data: { ended } }),
  );
  const open = old?.querySelector("details")?.open ?? command.incident !== null;
  return make("details", { open }, summary, lanes(command), numbers(command));
}

export function target(command) {
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
export function numbers(command) {
  const pairs = Object.entries(command.reason.numbers).map(([name, value]) =>
    make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: Number(value.toPrecision(4)) })));
  return make("dl", { className: "numbers", attr: { "aria-label": "What the rule was given" } }, ...pairs);
}

/** The last stage that all reached, as `4/4 durable`, or the first thing that went wrong. */
export function progress(command) {
  const lanesOf = command.acknowledged;
  const wrong = lanesOf.flatMap((lane) => lane.stages).find((stage) => BAD.includes(stage.stage));
  if (wrong) return { ended: wrong.stage, text: wrong.stage };
  const reached = (stage) => lanesOf.filter((lane) => lane.stages.some((entered) => entered.stage === stage)).length;
  const last = [...STAGES].reverse().find((stage) => reached(stage) > 0);
  return last ? { ended: last, text: `${reached(last)}/${lanesOf.length} ${last}` } : { ended: "none", text: "no answer yet" };
}

export function lanes(command) {
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
