// A job: its ranks, its loss, its ledger, how its last rescue went, its checkpoints and failures, and what was ordered.

import { chart } from "./charts.js";
import { rescues, strip } from "./strip.js";
import { ledgerOf } from "./ledger.js";
import { timeline } from "./timeline.js";
import { figure } from "./node.js";
import { count, duration, fixed, keep, keepAsking, link, make, NOTHING, panel, row, say, table, time } from "./text.js";

export function jobsView(main, _, state) {
  const all = panel("Jobs");
  const jobs = table("Every job", ["job", { text: "step", number: true }, { text: "ranks", number: true }, { text: "spares", number: true }, { text: "vacated", number: true }, { text: "open incidents", number: true }, { text: "commands", number: true }, "heard"]);
  const none = make("p", { className: "quiet", textContent: "No job has been heard of yet." });
  all.append(make("div", { className: "scrolls" }, jobs), none);
  main.append(all);
  return { update: () => {
    const told = state.digest;
    if (!told) return;
    none.hidden = told.jobs.length > 0;
    jobs.hidden = !told.jobs.length;
    say(all.aside, told.jobs_known > told.jobs.length ? `the first ${told.jobs.length} of ${count(told.jobs_known)}` : "");
    keep(jobs.tBodies[0], told.jobs.map((one) => [one.job, JSON.stringify(one), () => row(
      { of: link("job", one.job) },
      ...["step", "ranks", "spares", "vacated", "incidents", "commands"].map((key) => ({ of: count(one[key]), number: true })),
      time(one.told),
    )]));
  } };
}

export function jobView(main, name) {
  const top = panel(`Job ${name}`);
  const absent = make("p", { className: "quiet", textContent: "Asking for what is known of it." });
  const ranks = table("Ranks", ["rank", "node", { text: "step", number: true }, { text: "s a step", number: true }, { text: "heard", number: true }]);
  const loss = figure("Loss by step");
  const ledger = make("div", { className: "ledger" });
  const body = make("div", { className: "job-top", hidden: true }, make("div", { className: "scrolls" }, make("h3", { textContent: "Ranks" }), ranks), loss.figure, ledger);
  top.append(absent, body);
  const rescue = panel("How a rescue went", { className: "rescue" });
  const choice = make("select", { attr: { "aria-label": "Which rescue" } });
  const drawn = make("div", { className: "strip" });
  rescue.querySelector(".head").append(choice);
  rescue.append(drawn);
  const saved = panel("Checkpoints");
  const checkpoints = table("Checkpoints, the newest first", ["ordered", "why", { text: "step", number: true }, { text: "durable", number: true }, { text: "stood still", number: true }, { text: "until durable", number: true }, { text: "size", number: true }]);
  saved.append(make("div", { className: "scrolls" }, checkpoints));
  const failed = panel("Failures and recoveries");
  const fates = table("Nodes that really failed or came back", ["at", "node", "what"]);
  const whole = make("p", { className: "quiet", textContent: "No node of this job has failed." });
  failed.append(fates, whole);
  const happened = panel("What happened");
  const list = make("ol", { className: "timeline" });
  const quiet = make("p", { className: "quiet", textContent: "No incident and no command yet." });
  happened.append(list, quiet);
  main.append(top, rescue, make("div", { className: "pair" }, saved, failed), happened);
  const curve = chart(loss.holder, { name: "Loss by step", xLabel: (step) => count(step), yLabel: (v) => String(Number(v.toPrecision(2))), label: (v) => v.toFixed(4), colour: "--accent" });
  let known = null;
  let picked = null;

  function take(job) {
    body.hidden = !job;
    absent.hidden = Boolean(job);
    if (!job) return say(absent, `Nothing is known of a job ${name}.`);
    known = job;
    const spares = job.spares.length ? `spares ${job.spares.slice(0, 6).join(", ")}${job.spares.length > 6 ? " …" : ""}` : "no spare left";
    const vacated = job.vacated.length ? ` · vacated ${job.vacated.slice(0, 6).join(", ")}` : "";
    say(top.aside, `step ${count(job.step)} · ${spares}${vacated}`);
    keep(ranks.tBodies[0], job.ranks.slice(0, 64).map((rank) => [`rank-${rank.rank}`, JSON.stringify(rank), () => row(
      rank.rank, { of: link("node", rank.node), code: true }, { of: count(rank.step), number: true }, { of: fixed(rank.step_s, 3), number: true }, { of: time(rank.at), number: true },
    )]));
    const { xs, ys } = rising(job.losses);
    say(loss.now, job.losses.length ? fixed(job.losses[job.losses.length - 1][2], 4) : NOTHING);
    curve.set(xs, ys);
    ledgerOf(ledger, job.ledger);
    showRescue();
    showCheckpoints(checkpoints.tBodies[0], job.commands);
    keep(fates.tBodies[0], [...job.fates].reverse().slice(0, 20).map((one) => [`${one.node}-${one.at}`, one.state, () => row(time(one.at), { of: link("node", one.node), code: true }, one.state)]));
    fates.hidden = !job.fates.length;
    whole.hidden = job.fates.length > 0;
    return timeline(list, quiet, job);
  }

  function showRescue() {
    const found = rescues(known);
    rescue.hidden = !found.length;
    if (!found.length) return;
    const one = found.find((each) => each.key === picked) ?? found[0];
    keep(choice, found.slice(0, 30).map((each) => [each.key, each.title, () => make("option", { value: each.key, textContent: each.title })]));
    choice.value = one.key;
    choice.hidden = found.length < 2;
    strip(drawn, one, known);
  }

  choice.addEventListener("change", () => {
    picked = choice.value;
    showRescue();
  });
  const end = keepAsking(`/api/job/${encodeURIComponent(name)}`, 1000, take);
  return { redraw: () => { curve.redraw(); if (known) showRescue(); }, end: () => { end(); curve.end(); } };
}

/** The loss by step, each step once: what was done again after a restore replaces what was lost. */
function rising(losses) {
  const by = new Map();
  for (const [, step, value] of losses) {
    for (const later of [...by.keys()].reverse()) {
      if (later < step) break;
      by.delete(later);
    }
    by.set(step, value);
  }
  return { xs: [...by.keys()], ys: [...by.values()] };
}

function showCheckpoints(body, commands) {
  const saves = commands.filter((command) => command.action === "CHECKPOINT").sort((a, b) => b.issued_at - a.issued_at).slice(0, 12);
  keep(body, saves.map((command) => [command.id, JSON.stringify(command.acknowledged), () => {
    const stages = command.acknowledged.flatMap((lane) => lane.stages);
    const of = (name) => stages.filter((stage) => stage.stage === name);
    const wrong = stages.find((stage) => ["failed", "expired", "rejected"].includes(stage.stage));
    const step = of("durable").map((stage) => stage.step).find((value) => value !== null) ?? command.step;
    const last = Math.max(...of("durable").map((stage) => stage.at), -Infinity);
    const bytes = of("durable").reduce((sum, stage) => sum + (stage.bytes ?? 0), 0);
    return row(
      { of: link("decision", command.id, time(command.issued_at)) },
      command.incident ? "alarm" : "due",
      { of: count(step), number: true },
      { of: wrong ? wrong.stage : `${of("durable").length}/${command.acknowledged.length}`, number: true },
      { of: duration(Math.max(...of("staged").map((stage) => stage.seconds ?? 0), 0)), number: true },
      { of: Number.isFinite(last) ? duration(Math.max(0, last - command.issued_at)) : NOTHING, number: true },
      { of: bytes ? size(bytes) : NOTHING, number: true },
    );
  }]));
}

function size(bytes) {
  const power = Math.min(4, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toPrecision(3)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}
