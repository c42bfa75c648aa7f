// The fleet as a table: the same as the map, for who reads by ear or by search, a hundred rows at a time.

import { VERDICTS, unpack } from "./verdicts.js";
import { count, fixed, keep, link, make, NOTHING, row, say, table } from "./text.js";

const ROWS_MAX = 100;

export function fleetTable(state) {
  const search = make("input", { type: "search", id: "find-node", attr: { autocomplete: "off", spellcheck: "false" } });
  const shown = make("p", { className: "quiet", attr: { role: "status" } });
  const nodes = table("Every node, the worst first", ["node", "verdict", { text: "P", number: true }, { text: "deviation", number: true }, "role", "job"]);
  const holder = make("div", { className: "listing", hidden: true }, make("label", { htmlFor: "find-node", textContent: "Find nodes whose name, role or job holds" }), search, shown, nodes);

  function update() {
    const wanted = search.value.trim().toLowerCase();
    const found = [];
    state.names.forEach((name, index) => {
      if (wanted && !`${name} ${state.roles[index]} ${state.jobs[index]}`.toLowerCase().includes(wanted)) return;
      const one = unpack(state.cells, index);
      found.push({ name, role: state.roles[index], job: state.jobs[index], ...one, rank: VERDICTS.indexOf(one.verdict) + (one.probability ?? 0) });
    });
    found.sort((a, b) => b.rank - a.rank);
    say(shown, found.length > ROWS_MAX ? `${ROWS_MAX} of ${count(found.length)} nodes; find narrows it` : `${count(found.length)} nodes`);
    keep(nodes.tBodies[0], found.slice(0, ROWS_MAX).map((one) => [one.name, JSON.stringify(one), () => row(
      { of: link("node", one.name) },
      one.past ? `${one.verdict} (history)` : one.verdict,
      { of: fixed(one.probability, 2), number: true },
      { of: one.deviation === null ? NOTHING : `${fixed(one.deviation, 1)} σ`, number: true },
      one.out ? `${one.role} (opted out)` : one.role,
      { of: link("job", one.job) },
    )]));
  }

  search.addEventListener("input", update);
  return { holder, update };
}
