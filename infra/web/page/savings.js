// What acting cost and saved, job by job: the ledger, ETTR, and the same against static Young with its interval.

import { ledgerOf } from "./ledger.js";
import { duration, keep, keepAsking, link, make, panel, table, row, fixed } from "./text.js";

const KEPT_MS = 3000;

export function savingsView(main) {
  const holder = make("div", { className: "stack" });
  const none = make("p", { className: "quiet", textContent: "No job has a ledger yet." });
  main.append(holder, none);
  const end = keepAsking("/api/savings", KEPT_MS, (told) => {
    if (!told) return;
    const jobs = told.jobs.filter((one) => one.ledger);
    none.hidden = jobs.length > 0;
    keep(holder, jobs.map((one) => [one.job, JSON.stringify(one.ledger), (old) => fill(old ?? panel(`Savings of job ${one.job}`), one)]));
  });
  return { end };
}

function fill(section, { job, ledger }) {
  const saved = ledger.saved;
  const figures = [
    ["ETTR", `${(100 * ledger.ettr).toFixed(1)} %`, " of the wall time was productive"],
    ["Wall time", duration(ledger.wall_s), ""],
    ["Acting cost", duration(ledger.cost_s), " checkpoints, moves, waiting"],
    ...(saved ? [["Saved against Young", signed(saved.likely_s), ` ${signed(saved.low_s)} to ${signed(saved.high_s)}, ${Math.round(100 * (saved.level ?? 0.9))} %`]] : []),
  ];
  const head = section.querySelector(".head");
  section.aside.replaceChildren(link("job", job, "the job"));
  const top = make("dl", { className: "figures", attr: { "aria-label": `Savings of job ${job}` } }, ...figures.map(([name, value, more]) => make("div", {}, make("dt", { textContent: name }), make("dd", {}, value, make("small", { textContent: more })))));
  const books = make("div", { className: "ledger" });
  ledgerOf(books, ledger);
  section.replaceChildren(head, top, make("div", { className: "pair tight" }, books, young(saved, ledger)), nodes(ledger.nodes ?? []));
  return section;
}

const signed = (seconds) => `${seconds < 0 ? "−" : "+"}${duration(Math.abs(seconds))}`;

/** Where the estimate lies, with its interval, and on what it rests. */
function young(saved, ledger) {
  const box = make("div", {}, make("h3", { textContent: "Against static Young" }));
  if (!saved) {
    const likely = ledger.counterfactual.reduce((sum, one) => sum + one.total.likely_s, 0);
    box.append(make("p", { className: "ledger-note", textContent: ledger.counterfactual.length ? `Not leaving in time would have cost about ${duration(likely)}.` : "No node was left yet." }));
    return box;
  }
  const least = Math.min(saved.low_s, 0);
  const most = Math.max(saved.high_s, 0);
  const span = most - least || 1;
  const bar = make("div", { className: "interval", attr: { role: "img", "aria-label": `saved ${signed(saved.likely_s)}, between ${signed(saved.low_s)} and ${signed(saved.high_s)}` } });
  const at = (value) => `${(100 * (value - least)) / span}%`;
  const range = make("i", { className: "range" });
  range.style.left = at(saved.low_s);
  range.style.width = `${(100 * (saved.high_s - saved.low_s)) / span}%`;
  const dot = make("i", { className: "likely" });
  dot.style.left = at(saved.likely_s);
  const zero = make("i", { className: "zero" });
  zero.style.left = at(0);
  bar.append(range, zero, dot);
  const table_ = table("Against static Young", ["", { text: "seconds", number: true }]);
  table_.tBodies[0].append(
    row("this job, what acting cost", { of: duration(saved.cost_s), number: true }),
    row("static Young, estimated", { of: duration(saved.young_s), number: true }),
    row("of which its checkpoints", { of: duration(saved.young_checkpoint_s), number: true }),
    row("its interval between checkpoints", { of: duration(saved.interval_s), number: true }),
  );
  const rests = Array.isArray(saved.assumptions) ? saved.assumptions : saved.assumption ? [saved.assumption] : [];
  box.append(bar, table_);
  if (rests.length) box.append(make("details", {}, make("summary", { className: "quiet", textContent: "What the estimate rests on" }), make("ul", { className: "rests" }, ...rests.map((text) => make("li", { textContent: text })))));
  return box;
}

function nodes(all) {
  const costly = all.filter((one) => one.node && one.caused_s > 0).slice(0, 12);
  if (!costly.length) return make("div");
  const found = table("Seconds of the job that nodes caused", ["node", { text: "caused", number: true }, "of which"]);
  found.tBodies[0].append(...costly.map((one) => row(
    { of: link("node", one.node), code: true }, { of: duration(one.caused_s), number: true },
    Object.entries(one.seconds).filter(([bucket]) => bucket !== "productive").map(([bucket, seconds]) => `${bucket} ${fixed(seconds, 1)} s`).join(", "),
  )));
  return make("div", {}, make("h3", { textContent: "By the node that was the cause" }), make("div", { className: "scrolls" }, found));
}

