// What happens right now, as events on `live`: `traffic`, `flags`, `convergence`, `rollback`, and `contact` for the state
// of the line itself. They come from the event stream; when it is down or silent, from asking the API every two seconds.

import { page } from "./page.js";
import { read } from "./api.js";

const KINDS = ["traffic", "flags", "convergence", "rollback"];
const SILENCE = 5_000; // the stream speaks every second; a silent one is a dead one
const POLL = 2_000;
const HIDDEN = 20_000; // a page nobody looks at gives its place on the stream back

const live = new EventTarget();
export const contact = { by: "none", at: Date.now(), why: "" };

let stream = null;
let attempt = 0;
let retry = 0;
let revision = page.revision; // the one that the server wrote this page from
let hidden = 0;

export function listen(kind, handler) {
  live.addEventListener(kind, (event) => handler(event.detail));
}

function tell(kind, detail) {
  live.dispatchEvent(new CustomEvent(kind, { detail }));
}

/** Pass on what was heard; a revision that is new here is told as `flags`, however it came to be known. */
function heard(kind, detail) {
  const news = "revision" in detail && kind !== "convergence" && detail.revision !== revision;
  if (news) revision = detail.revision;
  if (kind !== "flags") tell(kind, detail);
  if (news) tell("flags", { revision });
}

function reached(by) {
  contact.at = Date.now();
  if (contact.by !== by) {
    contact.by = by;
    tell("contact", contact);
  }
}

function open() {
  clearTimeout(retry);
  stream?.close();
  stream = new EventSource(page.stream, { withCredentials: true });
  for (const kind of KINDS) {
    stream.addEventListener(kind, (event) => {
      attempt = 0;
      reached("stream");
      heard(kind, JSON.parse(event.data));
    });
  }
  stream.onerror = () => close();
}

function close() {
  stream?.close();
  stream = null;
  if (document.hidden) return;
  clearTimeout(retry);
  retry = setTimeout(open, Math.random() * Math.min(15_000, 1_000 * 2 ** attempt++));
}

async function poll() {
  const answer = await read("/instances");
  reached("polling");
  heard("traffic", answer);
}

async function watch() {
  if (document.hidden) return;
  const silent = Date.now() - contact.at > SILENCE;
  if (contact.by === "stream" && !silent) return;
  if (silent && stream) close();
  try {
    await poll();
  } catch (error) {
    if (silent && contact.by !== "lost") {
      contact.by = "lost";
      contact.why = error.message;
      tell("contact", contact);
    }
    if (error.status === 401) tell("signed-out");
  }
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(hidden);
  if (document.hidden) {
    hidden = setTimeout(() => { stream?.close(); stream = null; clearTimeout(retry); }, HIDDEN);
  } else if (!stream) {
    attempt = 0;
    open();
  }
});

/** Start listening; called once, by the shell, after every module has had the chance to subscribe. */
export function start() {
  open();
  setInterval(watch, POLL);
}
