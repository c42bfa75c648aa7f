// A decision: the command or the incident, and why: what moved P, unlikely transitions, the rule, and what others would do.

import { lanes, numbers, target } from "./timeline.js";
import { ask, fixed, link, make, NOTHING, panel, row, say, table, time } from "./text.js";

const SHOWN = 8;
const short = (value) => (typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value ?? NOTHING));
const signed = (value) => `${value >= 0 ? "+" : "−"}${Math.abs(value).toPrecision(3)}`;

export function decisionView(main, id) {
  const top = panel(`Decision ${id}`);
  const absent = make("p", { className: "quiet", textContent: "Asking for what is known of it." });
  top.append(absent);
  const why = panel("Why");
  const waiting = make("p", { className: "quiet", attr: { role: "status" }, textContent: "Recomputing it from the log: this can take some seconds." });
  why.append(waiting);
  main.append(top, why);
  let ended = false;
  known(id).then(async (told) => {
    if (ended) return;
    if (told) showKnown(top, absent, told);
    else say(absent, "The page has not read of this command or incident; the log may still hold it.");
    const answer = await ask(`/api/decision/${encodeURIComponent(id)}/explanation`);
    if (ended) return;
    if (answer?.found) explain(why, waiting, answer.found, told?.command);
    else say(waiting, `It cannot be explained now: ${answer?.lacking ?? "forestall does not answer"}.`);
  });
  return { end: () => { ended = true; } };
}

/** A decision that was given this moment may not have been read yet. */
async function known(id) {
  for (let turn = 0; turn < 3; turn += 1) {
    const told = await ask(`/api/decision/${encodeURIComponent(id)}`);
    if (told) return told;
    await new Promise((resolve) => { setTimeout(resolve, 700); });
  }
  return null;
}

function showKnown(top, absent, told) {
  const { command, incident } = told;
  absent.remove();
  top.querySelector("h2").textContent = command ? `${command.action} ${target(command)}` : `Incident on ${incident.node}`;
  top.aside.replaceChildren("job ", link("job", told.job), ` · ${time(command?.issued_at ?? incident.opened_at ?? incident.at)} · `, make("span", { className: "code", textContent: told.id }));
  if (incident) {
    top.append(make("p", { className: "lead" }, link("node", incident.node), ` suspected: P ${fixed(incident.probability, 3)}${incident.horizon_s ? ` within ${short(incident.horizon_s)} s` : ""}, deviation ${fixed(incident.deviation, 2)} σ, ${incident.state}`, command ? make("span", {}, " · ", link("decision", incident.id, "the incident")) : ""));
  }
  if (command) top.append(make("p", { className: "lead", textContent: `Rule: ${command.reason.rule}` }), numbers(command), lanes(command));
  const others = told.related.filter((one) => one.id !== told.id);
  if (others.length) top.append(make("p", { className: "lead" }, "With it: ", ...others.flatMap((one, index) => [index ? ", " : "", link("decision", one.id, `${one.action} ${target(one)}`)])));
}

function explain(why, waiting, told, command) {
  waiting.remove();
  const pairs = Object.entries(told.numbers ?? {}).map(([name, value]) => make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: short(value) })));
  if (!command) why.append(make("p", { className: "lead", textContent: told.rule ?? "" }), make("dl", { className: "numbers", attr: { "aria-label": "What the rule was given" } }, ...pairs));
  if (told.probability !== null && told.subject) why.append(make("p", { className: "lead" }, "P was ", make("b", { textContent: fixed(told.probability, 3) }), " on ", link("node", told.subject.node), told.baseline ? `; ${fixed(told.baseline.probability, 3)} is usual for it (${told.baseline.what})` : "", "."));
  why.append(
    ...moved(told.metrics ?? []), ...contributions(told), ...transitions(told.transitions ?? []), ...alternatives(told.alternatives ?? []), ...rest(told),
  );
}

/** The metrics that moved P most, beside what is usual for this very node. */
function moved(metrics) {
  if (!metrics.length) return [];
  const found = table("The metrics that moved P most", ["metric", { text: "value", number: true }, { text: "its usual", number: true }, { text: "extreme", number: true }, { text: "robust z", number: true }, { text: "moved the logit", number: true }]);
  found.tBodies[0].append(...metrics.slice(0, 3).map((one) => row(
    { of: one.metric, code: true }, ...[one.value, one.usual, one.extreme].map((value) => ({ of: `${short(value)} ${one.unit === "1" ? "" : one.unit ?? ""}`.trim(), number: true })),
    { of: short(one.z), number: true }, { of: signed(one.contribution), number: true },
  )));
  return [make("h3", { textContent: "The metrics that moved P most" }), make("div", { className: "scrolls" }, found)];
}

/** Features, largest first; with them all, the contributions are the logit's difference from the baseline. */
function contributions(told) {
  const all = told.contributions ?? [];
  if (!all.length) return [];
  const most = Math.max(...all.map((one) => Math.abs(one.contribution)));
  const found = table("What moved P, by feature", ["metric", "feature", { text: "value", number: true }, { text: "usual", number: true }, { text: "moved the logit", number: true }, "size"]);
  const shown = all.slice(0, SHOWN);
  found.tBodies[0].append(...shown.map((one) => {
    const bar = make("span", { className: "span", data: { sign: one.contribution < 0 ? "down" : "up" } });
    bar.style.transform = `scaleX(${most ? Math.abs(one.contribution) / most : 0})`;
    return row({ of: one.metric, code: true }, one.feature, { of: short(one.value), number: true }, { of: short(one.baseline), number: true }, { of: signed(one.contribution), number: true }, { of: bar });
  }));
  const left = all.slice(SHOWN).reduce((sum, one) => sum + one.contribution, 0);
  const more = all.length > SHOWN ? ` The other ${all.length - SHOWN} moved it by ${signed(left)} together.` : "";
  const total = told.logit_difference === null || told.logit_difference === undefined ? "" : `In all the logit is ${signed(told.logit_difference)} from where a usual node's is.`;
  return [make("h3", { textContent: "By feature" }), make("div", { className: "scrolls" }, found), make("p", { className: "quiet", textContent: `${total}${more}` })];
}

function transitions(all) {
  if (!all.length) return [];
  const keys = [...new Set(all.flatMap((one) => Object.keys(one)))].filter((key) => all.some((one) => typeof one[key] !== "object")).slice(0, 7);
  const found = table("The most improbable transitions", keys.map((key) => ({ text: key.replaceAll("_", " "), number: all.some((one) => typeof one[key] === "number") })));
  found.tBodies[0].append(...all.slice(0, SHOWN).map((one) => row(...keys.map((key) => ({ of: key === "at" || key === "ts" ? time(one[key]) : short(one[key]), number: typeof one[key] === "number", code: key === "metric" })))));
  return [make("h3", { textContent: "The most improbable transitions" }), make("div", { className: "scrolls" }, found)];
}

function alternatives(all) {
  if (!all.length) return [];
  const others = table("What other policies would have done", ["policy", "would", { text: "estimated", number: true }]);
  others.tBodies[0].append(...all.map((one) => row(one.policy, typeof one.would === "string" ? one.would : short(JSON.stringify(one.would)), { of: typeof one.seconds === "number" ? `${signed(one.seconds)} s` : NOTHING, number: true })));
  return [make("h3", { textContent: "What others would have done" }), make("div", { className: "scrolls" }, others)];
}

function rest(told) {
  const parts = [];
  if (told.missing?.length) parts.push(make("p", { className: "quiet", textContent: `Not recomputed: ${told.missing.join("; ")}.` }));
  if (told.evidence?.length) {
    parts.push(make("h3", { textContent: "Evidence" }), make("p", { className: "code evidence", textContent: told.evidence.join("  ") }));
    parts.push(make("p", { className: "quiet" }, "Anyone can recompute it: ", make("span", { className: "code", textContent: `forestall explain ${told.id} --replay` })));
  }
  return parts;
}
