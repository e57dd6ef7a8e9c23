// What every page has: the state of the line in the masthead, the theme, keys, times that stay true, and refreshing.

import { all, lamp, one, write } from "./page.js";
import { contact, listen, start } from "./live.js";
import { noun } from "./convergence.js";
import { refresh } from "./regions.js";
import { ago, age, names, plural, short } from "./words.js";

listen("traffic", ({ instances, revision, unmeasured }) => {
  const behind = instances.filter((each) => !each.in_sync);
  const kind = noun(instances);
  const place = one("[data-state=workers]");
  if (!instances.length) lamp(place, "caution", "no live worker");
  else if (behind.length) lamp(place, "caution", `${instances.length - behind.length} of ${plural(instances.length, kind)} in sync`, `behind: ${names(behind.map((each) => each.slot), 8)}`);
  else lamp(place, "clear", `${instances.length} of ${plural(instances.length, kind)} in sync`);
  const figures = one("[data-state=figures]");
  figures.hidden = !unmeasured;
  figures.title = unmeasured;
  write(one("[data-state=revision]"), short(revision));
  write(one("[data-count=instances]"), String(instances.length));
});

function showContact() {
  const place = one("[data-state=contact]");
  const silent = (Date.now() - contact.at) / 1000;
  const lost = contact.by === "lost";
  document.documentElement.toggleAttribute("data-stale", lost);
  if (lost) lamp(place, "danger", `no news for ${age(silent)}: the page shows what it last saw`, contact.why);
  else if (contact.by === "polling") lamp(place, "caution", "live every 2 s", "The event stream is down; the page asks every two seconds instead.");
  else if (contact.by === "stream") lamp(place, "clear", "live");
}

listen("contact", showContact);
listen("flags", ({ revision }) => {
  write(one("[data-state=revision]"), short(revision));
  refresh();
});
listen("signed-out", () => location.reload());

function keepTimes() {
  const now = Date.now() / 1000;
  for (const time of all("time[data-at]")) write(time, ago(now - Number(time.dataset.at)));
  showContact();
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input:not([type=range], [type=checkbox], [type=radio]), textarea, select");
  const search = one("[data-search]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && search) {
    event.preventDefault();
    search.focus();
    search.select();
  }
  if (event.key === "Escape" && event.target === search) {
    search.value = "";
    search.dispatchEvent(new Event("input", { bubbles: true }));
    search.blur();
  }
});

// Without scripts the buttons post and the page comes back; with them the page just changes its clothes.
document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-theme-form]");
  if (!form || !event.submitter) return;
  event.preventDefault();
  const theme = event.submitter.value;
  fetch(form.action, { method: "POST", body: new FormData(form, event.submitter), credentials: "same-origin" });
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const next = { system: "light", light: "dark", dark: "system" }[theme];
  event.submitter.value = next;
  event.submitter.title = `Theme: ${theme}. Change to ${next}`;
});

setInterval(keepTimes, 1_000);
start();
