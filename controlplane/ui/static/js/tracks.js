// The line diagram's marks, to ask with: edits are collected and saved as one write.
// What others save meanwhile is shown at once, except where it is being edited.

import { all, one, write } from "./page.js";
import { listen } from "./live.js";
import { Refused, change, read } from "./api.js";
import { follow, hush, say } from "./said.js";
import { explain } from "./switches.js";
import { refresh } from "./regions.js";
import { names, percent } from "./words.js";

const form = () => one("form[data-tracks]");
const rows = () => all("[data-track]", form());
const place = () => document.getElementById("said-tracks");
const number = (row) => one("input[type=number]", row);
const range = (row) => one("input[type=range]", row);
/** The row of every other domain; null where a split stands there, which has no percentage to ask for. */
const everywhere = () => one("[data-track-default]");
const every = () => [...rows(), everywhere()].filter(Boolean);

/** The percentages as the server last told them, and one row's part: "" where the domain follows the default. */
const truth = () => JSON.parse(form().dataset.percentages);
const part = (percentages, row) => String((row.dataset.track ? percentages.domains[row.dataset.track] : percentages.default) ?? "");
const told = (row) => part(truth(), row);
const same = (a, b) => (a === "" || b === "" ? a === b : Number(a) === Number(b));
const edited = (row) => !same(number(row).value, told(row));
const byDefault = () => (everywhere() ? number(everywhere()).value : truth().default);
const askedAs = ({ default: rest, domains }) => (everywhere() ? { default: rest, domains } : { domains });
const effective = (value) => (value === "" ? truth().default : value);
const nameOf = (row) => row.dataset.track ?? "default";
const worded = (value) => (value === "" ? "default" : percent(value));

/** Show one row as it now stands: mark, field, and where it stood before the edit. */
function show(row) {
  const value = number(row).value;
  const standsAt = value === "" ? byDefault() : value;
  if (document.activeElement !== range(row) || !edited(row)) range(row).value = standsAt;
  range(row).setAttribute("aria-valuetext", worded(value));
  if (row.dataset.track) number(row).placeholder = String(Number(byDefault()));
  row.classList.toggle("inherits", value === "");
  row.classList.toggle("edited", edited(row));
  const before = one(".before", row);
  before.toggleAttribute("hidden", !edited(row));
  before.setAttribute("d", `M${effective(told(row))} 0V12`);
  const inherit = one("[data-inherit]", row);
  if (inherit) inherit.hidden = value === "" || number(row).disabled;
}

function showAll() {
  if (!form()) return;
  every().forEach(show);
  const changes = every().filter(edited);
  form().toggleAttribute("data-edited", changes.length > 0);
  const save = one("[data-save]", form());
  if (!save) return;
  save.toggleAttribute("data-open", changes.length > 0);
  write(one("[data-summary]", save), changes.map((row) => `${nameOf(row)} ${worded(told(row))} → ${worded(number(row).value)}`).join(" · "));
}

function prepare() {
  if (!form()) return;
  for (const row of every()) range(row).disabled = number(row).disabled;
  showAll();
}

function adopt(flag) {
  form().dataset.version = flag.version;
  form().dataset.percentages = JSON.stringify(flag.percentages);
}

/** Put every control back to what the server holds. */
function reset() {
  for (const row of every()) number(row).value = told(row);
  showAll();
}

/** What the controls say; a domain that somebody else has just listed, and that has no row here yet, keeps its figure. */
function asked() {
  const { domains } = truth();
  for (const row of rows()) {
    const { value } = number(row);
    if (value === "") delete domains[row.dataset.track];
    else domains[row.dataset.track] = Number(value);
  }
  return { default: Number(byDefault()), domains };
}

const path = () => `/flags/${encodeURIComponent(form().dataset.key)}`;

async function put(percentages, reason, words, version = form().dataset.version) {
  const { key } = form().dataset;
  const former = truth();
  const answer = await change("PUT", `${path()}/percentages`, { ...askedAs(percentages), reason }, version);
  adopt(answer.flag);
  reset();
  const undo = () => attempt(() => put(former, `undo of ${answer.revision}`, "Undone", answer.flag.version));
  follow(place(), { revision: answer.revision, words, flag: key, convergence: answer.convergence, undo });
  await refresh();
}

async function attempt(write) {
  try {
    await write();
  } catch (error) {
    await turnBack(error);
  }
}

async function turnBack(error) {
  const mine = new Map(every().filter(edited).map((row) => [nameOf(row), number(row).value]));
  const words = await explain(form().dataset.key, error);
  if (error instanceof Refused) {
    try {
      adopt(await read(path()));
    } catch {
      // the words above already say that there is no truth to be had right now
    }
  }
  reset();
  const again = mine.size && error.status === 412 ? [["Put mine back", () => restore(mine)]] : [];
  say(place(), "danger", words, again);
}

function restore(mine) {
  for (const row of every()) if (mine.has(nameOf(row))) number(row).value = mine.get(nameOf(row));
  hush(place());
  showAll();
}

document.addEventListener("input", (event) => {
  const row = event.target.closest("[data-track], [data-track-default]");
  if (!row) return;
  if (event.target.type === "range") number(row).value = String(Math.round(event.target.value));
  showAll();
});

document.addEventListener("click", (event) => {
  const inherit = event.target.closest("[data-inherit]");
  if (!inherit) return;
  const row = inherit.closest("[data-track]");
  number(row).value = "";
  showAll();
  number(row).focus();
});

document.addEventListener("reset", (event) => {
  if (event.target !== form()) return;
  event.preventDefault();
  hush(place());
  reset();
});

document.addEventListener("submit", (event) => {
  if (event.target !== form()) return;
  event.preventDefault();
  const reason = form().elements.reason;
  attempt(async () => {
    await put(asked(), reason.value, "Saved");
    if (reason.isConnected) reason.value = "";
  });
});

document.addEventListener("refreshed", prepare);

/** Somebody wrote the flag while controls here are being edited: take theirs over where it does not touch mine. */
listen("flags", async () => {
  if (!form()?.hasAttribute("data-edited")) return;
  let flag;
  try {
    flag = await read(path());
  } catch {
    return; // the save will be refused and say why
  }
  if (flag.version === form().dataset.version) return;
  const theirs = (row) => part(flag.percentages, row);
  const touched = every().filter((row) => edited(row) && !same(theirs(row), told(row)));
  if (touched.length) {
    const changes = touched.map((row) => `${nameOf(row)} to ${worded(theirs(row))}`);
    say(place(), "caution", `${flag.changed.by} has meanwhile set ${names(changes)}. Saving yours will be refused; discard to see theirs.`, [["Discard mine", () => { adopt(flag); hush(place()); reset(); }]]);
    return;
  }
  const untouched = every().filter((row) => !edited(row));
  adopt(flag);
  for (const row of untouched) number(row).value = told(row);
  showAll();
});

prepare();
