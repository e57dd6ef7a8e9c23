// The lever, and the story of a rollback as it goes: steps light up as their events come; at the end stands the receipt.

import { all, lamp, one, write } from "./page.js";
import { listen } from "./live.js";
import { change, read, refusal } from "./api.js";
import { refresh } from "./regions.js";
import { say } from "./said.js";
import { duration } from "./words.js";

const TONES = { progress: "running", done: "clear", warn: "caution", failed: "danger" };

// Pulling

const lever = one("form[data-lever]");

function armed() {
  const ready = lever.elements.confirm.value === lever.dataset.lever && lever.elements.reason.value.trim() !== "";
  one(".button.danger", lever).setAttribute("aria-disabled", String(!ready));
  return ready;
}

async function pull() {
  const place = document.getElementById("said-lever");
  if (!armed()) return say(place, "caution", `A reason, and the word ${lever.dataset.lever} typed out, are needed first.`);
  const button = one(".button.danger", lever);
  button.disabled = true;
  const { target, reason, restart, queues, confirm } = lever.elements;
  try {
    const { id } = await change("POST", "/rollback", {
      reason: reason.value, confirm: confirm.value, restart: restart.value, queues: queues.value,
      ...(target.value && { flags: target.value }),
    });
    one("[data-drawing]", lever).classList.add("pulled");
    const list = location.pathname.replace(/\/$/, "");
    location.assign(id ? `${list}/${encodeURIComponent(id)}` : list); // one without an id waits for another to end
  } catch (error) {
    button.disabled = false;
    say(place, "danger", refusal(error));
  }
}

if (lever) {
  lever.addEventListener("input", armed);
  lever.addEventListener("submit", (event) => {
    event.preventDefault();
    pull();
  });
  armed();
}

// Following

const run = one("[data-run]");
const events = new Map(); // by their cursor, so that what comes twice counts once
let timers = [];


const running = () => run.dataset.state === "running";

/** Each step of the last attempt with its last word and when it began; the first silent one is at work while it runs. */
function fold() {
  const told = [...events.values()];
  const attempt = Math.max(...told.map((event) => event.data.attempt));
  const steps = new Map();
  let last = { elapsed: 0, heard: performance.now() };
  for (const event of told.filter((each) => each.data.attempt === attempt)) {
    const began = steps.get(event.step)?.began ?? last.elapsed;
    steps.set(event.step, { ...event, began });
    last = event;
  }
  const silent = all("[data-step]").map((row) => row.dataset.step).find((name) => !steps.has(name));
  const busy = [...steps.values()].some((step) => step.status === "progress");
  if (running() && silent && !busy) steps.set(silent, { ...last, status: "progress", detail: "", began: last.elapsed });
  return steps;
}

/** A step that goes on is older than its last word. */
function seconds(step) {
  const since = step.status === "progress" && running() ? (performance.now() - step.heard) / 1000 : 0;
  return step.elapsed - step.began + since;
}

function show() {
  const steps = fold();
  for (const row of all("[data-step]")) {
    const step = steps.get(row.dataset.step);
    row.classList.toggle("waiting-step", !step);
    lamp(one("[data-f=lamp]", row), step ? TONES[step.status] : "waiting", row.dataset.title);
    write(one("[data-f=detail]", row), step?.detail ?? "");
    write(one("[data-f=seconds]", row), step ? duration(seconds(step)) : "");
  }
}

function take(event) {
  if (events.has(event.cursor)) return;
  events.set(event.cursor, { ...event, heard: performance.now() });
  show();
  if (event.status !== "progress") write(one("[data-announce]"), `${event.step}: ${event.detail}`);
}

async function look() {
  const told = await read(`/rollback/${encodeURIComponent(run.dataset.run)}`);
  told.events.forEach(take);
  if (told.state === run.dataset.state || !(await refresh())) return;
  run.dataset.state = told.state;
  show();
  if (told.state === "done") timers.forEach(clearInterval);
}

const lookAgain = () => look().catch(() => {}); // the masthead says when there is no contact; the next look may have it

if (run && run.dataset.state !== "done") {
  timers = [setInterval(lookAgain, 2_000), setInterval(() => events.size && show(), 200)];
  lookAgain();
  listen("rollback", (event) => {
    if (event.id !== run.dataset.run) return;
    take(event);
    if (event.step === "receipt" && event.status !== "progress") lookAgain();
  });
}
