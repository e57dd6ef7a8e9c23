// The line diagram's fills and lamps: in each domain the traffic really seen, and who has proven to have the flag's last write.

import { all, lamp, one, write } from "./page.js";
import { listen } from "./live.js";
import { noun, unproven } from "./convergence.js";
import { refresh } from "./regions.js";
import { count, names, plural, share } from "./words.js";

listen("traffic", ({ instances, domains }) => {
  const table = one("form[data-tracks]");
  if (!table) return;
  const { key, version, measure } = table.dataset;
  const rows = all("[data-track]", table);
  const known = new Set(rows.map((row) => row.dataset.track));
  if ([...instances, ...domains].some((each) => each.domain && !known.has(each.domain))) refresh(); // the server writes the row
  for (const row of rows) {
    const here = instances.filter((each) => each.domain === row.dataset.track);
    showSeen(row, domains.find((each) => each.domain === row.dataset.track)?.sent_by_variant ?? {}, measure);
    showProof(row, here, unproven(here, version, key));
  }
});

/** A variant is all that the flags chose for a message, such as `application/yaml+gzip+batch`. */
function showSeen(row, sent, measure) {
  const words = measure.split(" ");
  const sum = (list) => list.reduce((total, [, times]) => total + times, 0);
  const total = sum(Object.entries(sent));
  const written = sum(Object.entries(sent).filter(([variant]) => variant.split("+").some((word) => words.includes(word))));
  const seen = measure && total ? written / total : null;
  one(".seen", row).setAttribute("width", 100 * (seen ?? 0));
  const figure = one("[data-seen]", row);
  if (seen === null) write(figure, measure ? "no traffic" : "–");
  else write(figure, `${share(seen)} of ${count(total)}`);
  figure.classList.toggle("quiet", seen === null);
}

function showProof(row, here, { missing, overriding }) {
  const light = one("[data-proof] .lamp", row);
  if (here.length) row.dataset.worked = "yes";
  const without = [...new Set([...missing, ...overriding])];
  write(one("[data-missing]", row), names(without, 2));
  if (here.length) lamp(light, without.length ? "caution" : "clear", `${here.length - without.length} of ${plural(here.length, noun(here))}`);
  else if (row.dataset.worked) lamp(light, "danger", "all lost", "the last lease ran out");
  else lamp(light, "waiting", "no worker");
}
