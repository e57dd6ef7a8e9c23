// The live table of instances: rows come, change and go with the traffic; the server wrote the first picture.

import { all, lamp, make, one, write } from "./page.js";
import { listen } from "./live.js";
import { age, count, milliseconds, names, plural, rate, share, short } from "./words.js";

const NAMES = { "application/json": "JSON", "application/yaml": "YAML" };
const NONE = { sent: {}, rate: 0, latency_p50: 0, latency_p95: 0, errors: 0 };
const KEEP_LOST = 600_000;

const table = one("table.instances");
const lastSeen = new Map(); // id -> {instance, at}
const lost = new Map(); // slot -> {instance, at}

const field = (row, name) => one(`[data-f="${name}"]`, row);
const copy = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

function rowOf(group, instance) {
  const found = one(`tr[data-id="${CSS.escape(instance.id)}"]`, group);
  if (found) return found;
  const row = copy("instance");
  row.dataset.id = instance.id;
  row.dataset.slot = instance.slot;
  write(field(row, "slot"), instance.slot);
  field(row, "slot").title = instance.id;
  write(field(row, "where"), `${instance.host} · ${instance.pid}`);
  if (instance.overrides?.length) field(row, "slot").after(" ", make("span", { class: "chip held", title: instance.overrides.join(", ") }, "overrides"));
  place(group, row, instance.slot);
  return row;
}

function place(group, row, slot) {
  const after = all("tr.instance", group).find((other) => one("[data-f=slot]", other).textContent.localeCompare(slot, "en", { numeric: true }) > 0);
  group.insertBefore(row, after ?? null);
}

function groupOf(domain) {
  const found = one(`tbody[data-group="${CSS.escape(domain)}"]`, table);
  if (found) return found;
  const head = copy("group");
  head.dataset.domain = domain;
  write(field(head, "domain"), domain || "clients");
  const group = make("tbody", { "data-group": domain }, head);
  table.insertBefore(group, all("tbody", table).find((other) => other.dataset.group > domain) ?? null);
  return group;
}

function fill(row, traffic) {
  write(field(row, "rate"), rate(traffic.rate));
  write(field(row, "p50"), milliseconds(traffic.latency_p50));
  write(field(row, "p95"), milliseconds(traffic.latency_p95));
  write(field(row, "errors"), count(traffic.errors));
  field(row, "errors").classList.toggle("some", traffic.errors > 0);
  mix(one("[data-mix]", row), traffic.sent);
}

function mix(place, sent) {
  const total = Object.values(sent).reduce((sum, each) => sum + each, 0);
  let from = 0;
  for (const [name, type] of [["yaml", "application/yaml"], ["json", "application/json"]]) {
    const width = total ? (100 * (sent[type] ?? 0)) / total : 0;
    bar(place, name, from, width);
    from += width;
  }
  bar(place, "other", from, total ? 100 - from : 0);
  const said = Object.keys(NAMES).sort().reverse().filter((type) => sent[type]).map((type) => `${NAMES[type]} ${share(sent[type] / total)}`);
  const figures = one(".figures", place);
  write(figures, total ? said.join(" · ") : "nothing sent");
  figures.classList.toggle("quiet", !total);
}

function bar(place, name, from, width) {
  const rect = one(`.${name}`, place);
  rect.setAttribute("x", from);
  rect.setAttribute("width", Math.max(0, width));
}

function showInstance(instance) {
  const row = rowOf(groupOf(instance.domain), instance);
  row.classList.remove("gone");
  fill(row, instance.traffic ?? NONE);
  const words = instance.in_sync ? `${short(instance.acknowledged)} in sync` : `${short(instance.acknowledged)} · ${instance.behind} behind`;
  lamp(field(row, "revision"), instance.in_sync ? "clear" : "caution", words, instance.acknowledged);
}

/** What is no longer in the list either gave its place back, was replaced, or fell silent until its lease ran out. */
function notice(instances, now) {
  const here = new Set(instances.map((each) => each.id));
  const slots = new Set(instances.map((each) => each.slot));
  for (const [id, seen] of lastSeen) {
    if (here.has(id)) continue;
    lastSeen.delete(id);
    const silent = seen.instance.lease_left < 1.5;
    if (silent && !slots.has(seen.instance.slot)) lost.set(seen.instance.slot, { instance: seen.instance, at: now });
  }
  for (const instance of instances) lastSeen.set(instance.id, { instance, at: now });
  for (const [slot, entry] of lost) if (slots.has(slot) || now - entry.at > KEEP_LOST) lost.delete(slot);
}

function showGroup(group, instances, domains, gone) {
  const domain = group.dataset.group;
  const here = instances.filter((each) => each.domain === domain);
  const head = one("tr.domain", group);
  const behind = here.filter((each) => !each.in_sync);
  write(field(head, "size"), plural(here.length, "worker"));
  fill(head, domains.get(domain) ?? NONE);
  field(head, "proof").replaceChildren();
  if (gone.length) field(head, "proof").append(make("span", { class: "lamp danger" }, `${gone.length} lost`));
  else if (behind.length) field(head, "proof").append(make("span", { class: "lamp caution", title: names(behind.map((each) => each.slot), 8) }, `${here.length - behind.length} of ${here.length}`));
}

function showFlows(flows) {
  one("[data-flows]").hidden = !flows.length;
  const said = flows.map((flow) => `${flow.name} p50 ${milliseconds(flow.latency_p50)} ms, p95 ${milliseconds(flow.latency_p95)} ms (${flow.count})`);
  write(one("[data-f=flows]"), said.join(" · "));
}

listen("traffic", ({ instances, domains, flows }) => {
  showFlows(flows);
  const now = Date.now();
  notice(instances, now);
  instances.forEach(showInstance);
  const keep = new Set([...instances.map((each) => each.id), ...[...lost.values()].map((each) => each.instance.id)]);
  for (const row of all("tr.instance", table)) if (!keep.has(row.dataset.id)) row.remove();
  for (const { instance, at } of lost.values()) {
    const row = rowOf(groupOf(instance.domain), instance);
    row.classList.add("gone");
    fill(row, NONE);
    lamp(field(row, "revision"), "danger", `lost ${age((now - at) / 1000)} ago`, "its lease ran out");
  }
  const figures = new Map(domains.map((each) => [each.domain, each]));
  for (const group of all("tbody", table)) {
    const gone = [...lost.values()].filter((each) => each.instance.domain === group.dataset.group);
    if (!one("tr.instance", group)) group.remove();
    else showGroup(group, instances, figures, gone);
  }
  one("[data-none]").hidden = Boolean(one("tbody", table));
});
