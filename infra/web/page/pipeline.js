// How well forestall itself does: counts, latency, lag, dead letters by reason, models, shadows, and what brakes it.

import { count, duration, fixed, keep, keepAsking, make, NOTHING, panel, row, say, table, time } from "./text.js";

const KEPT_MS = 5000;
const FATES = [["assessed", "assessed"], ["history", "of history, not acted on"], ["late", "late: dropped"], ["duplicates", "duplicates: dropped"], ["dead_letters", "could not be read"], ["ticks", "ticks of source time"]];

export function pipelineView(main, _, state) {
  const counts = panel("Frames");
  const fates = table("What became of the frames", ["", { text: "count", number: true }]);
  counts.append(fates);
  const delay = panel("Latency");
  const latencies = table("From source time to the log", ["", { text: "p50", number: true }, { text: "p99", number: true }]);
  delay.append(latencies);
  const dead = panel("Dead letters");
  const reasons = table("Why records could not be read", ["reason", { text: "records", number: true }]);
  const clean = make("p", { className: "quiet", textContent: "Every record could be read." });
  dead.append(reasons, clean);
  const models = panel("Models and policies in use");
  const used = table("Models and policies", ["", "what"]);
  models.append(used);
  const lag = panel("How far the workers are");
  const lags = table("Positions", ["topic", { text: "partition", number: true }, { text: "end", number: true }, { text: "committed", number: true }, { text: "snapshot", number: true }, { text: "lag", number: true }]);
  const lacking = make("p", { className: "quiet", textContent: "Reading snapshots and positions." });
  lag.append(make("div", { className: "scrolls" }, lags), lacking);
  const brakes = panel("Brakes");
  const held = table("What keeps nodes where they are", ["brake", "stands", "since", "by"]);
  brakes.append(make("div", { className: "scrolls" }, held));
  main.append(make("div", { className: "pair" }, counts, delay), make("div", { className: "pair" }, dead, models), brakes, lag);
  const known = { read: null };

  function take(answer) {
    if (!answer) return;
    lags.hidden = !answer.found;
    if (!answer.found) return say(lacking, `It cannot be read now: ${answer.lacking}.`);
    known.read = answer.found;
    const workers = answer.found.workers;
    say(lacking, workers.uncommitted ?? (workers.seen ? "" : "No worker has been here yet."));
    say(lag.aside, workers.seen ? `${count(workers.lag)} records wait` : "");
    keep(lags.tBodies[0], workers.partitions.map((one) => [`${one.topic}/${one.partition}`, JSON.stringify(one), () => row(
      { of: one.topic, code: true }, ...["partition", "end", "committed", "snapshot", "lag"].map((key) => ({ of: count(one[key]), number: true })))]));
    return update();
  }

  function update() {
    const told = state.digest;
    if (!told) return;
    keep(fates.tBodies[0], FATES.map(([key, words]) => [key, String(told.counts[key]), () => row(words, { of: count(told.counts[key]), number: true })]));
    const pairs = [["telemetry → assessment", told.latency_ms.assessment], ["cause → command", told.latency_ms.command]];
    const ms = (value) => (value === null ? NOTHING : duration(value / 1000));
    keep(latencies.tBodies[0], pairs.map(([words, pair]) => [words, JSON.stringify(pair), () => row(words, { of: ms(pair.p50), number: true }, { of: ms(pair.p99), number: true })]));
    const why = Object.entries(told.dead_reasons).sort((a, b) => b[1] - a[1]);
    reasons.hidden = !why.length;
    clean.hidden = why.length > 0;
    keep(reasons.tBodies[0], why.map(([reason, many]) => [reason, String(many), () => row({ of: reason, code: true }, { of: count(many), number: true })]));
    showModels(used.tBodies[0], told, known.read);
    showBrakes(held.tBodies[0], told.brakes, known.read);
  }

  const end = keepAsking("/api/pipeline", KEPT_MS, take);
  return { update, end };
}

function showModels(body, told, read) {
  const { active, refused, shadow } = told.models;
  const rows = [
    ["model", active.length ? active.map((digest) => digest.slice(0, 16)).join(", ") : "not told yet"],
    ...refused.map((why) => ["refused", why]),
    ["shadow model", shadow ? `${shadow.digest.slice(0, 16)}: ${count(shadow.compared)} compared, mean |ΔP| ${fixed(shadow.mean_difference, 4)}, alarms of one alone ${count(shadow.active_only)} and ${count(shadow.shadow_only)}` : "none"],
    ...(read?.policy ? [["policy", `checkpoint ${read.policy.checkpoint}, migration ${read.policy.migration}, level ${read.policy.level}`]] : []),
    ...(told.shadow_policies ?? []).map((one) => [`shadow policy ${one.policy}, job ${one.job}`, `${count(one.commands)} commands, ${count(one.differences)} differences, ${one.seconds < 0 ? "would cost" : "would save"} about ${duration(Math.abs(one.seconds))}`]),
  ];
  keep(body, rows.map(([what, words]) => [`${what}`, words, () => row(what, words)]));
}

function showBrakes(body, told, read) {
  const breakers = read?.brakes.breakers ?? [];
  const open = breakers.filter((one) => one.tripped);
  const rows = [
    ...open.map((one) => [`breaker, partition ${one.partition}`, `OPEN: ${one.tripped.outs} of ${one.tripped.fleet} nodes out, ${one.tripped.bound} may be`, time(one.tripped.at), "forestall resume --breaker closes it"]),
    ...(open.length ? [] : [["breaker", breakers.length ? `closed: ${Math.max(...breakers.map((one) => one.outs ?? 0))} nodes out in its window` : "not read yet", NOTHING, NOTHING]]),
    ...(told.reset ? [["breaker closed by hand", told.reset.why || NOTHING, time(told.reset.at), told.reset.by]] : []),
    ...(read?.brakes.storms ?? []).map((one) => ["storm", `job ${one.job}: no node is left while it lasts`, time(one.since), NOTHING]),
    ...told.pauses.map((one) => [`pause of ${one.job === null ? "all jobs" : `job ${one.job}`}`, one.why || "no reason given", time(one.at), one.by]),
    ...(told.pauses.length ? [] : [["pause", "none", NOTHING, NOTHING]]),
    ...told.opt_outs.map((one) => [`opt-out of ${one.node}`, one.why || "no reason given", time(one.at), one.by]),
    ...(told.opt_outs.length ? [] : [["opt-outs", "none", NOTHING, NOTHING]]),
  ];
  keep(body, rows.map((cells) => [cells[0], cells.join(), () => row(...cells)]));
}
