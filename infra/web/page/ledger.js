// A ledger: where a job's seconds went, as one bar and as a table.

import { duration, make } from "./text.js";

const BUCKETS = ["productive", "checkpoint", "recomputed", "migration", "restart", "waiting", "detection", "degraded"];

export function ledgerOf(holder, ledger, { heading = "h3", title = "Ledger: where the seconds went" } = {}) {
  const stamp = JSON.stringify(ledger ?? null);
  if (holder.dataset.stamp === stamp) return;
  holder.dataset.stamp = stamp;
  holder.replaceChildren(make(heading, { textContent: title }));
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
  const rows = spent.map(([bucket, seconds]) => make(
    "tr", {},
    make("th", { className: "plain", attr: { scope: "row" } }, make("span", { className: "swatch", data: { bucket } }), bucket),
    make("td", { className: "number", textContent: duration(seconds) }),
    make("td", { className: "number", textContent: share(seconds) }),
  ));
  holder.append(bar, make("table", {}, make("tbody", {}, ...rows)));
  if (ledger.saying) holder.append(make("p", { className: "ledger-note", textContent: ledger.saying }));
}
