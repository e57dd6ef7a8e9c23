// A flag's switch, in the list and on its own page: one press writes, and what came of it is said beside it.

import { Refused, change, read, refusal } from "./api.js";
import { refresh } from "./regions.js";
import { follow, say } from "./said.js";

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-action]");
  if (!form) return;
  event.preventDefault();
  const reason = form.elements.reason?.value ?? "";
  act(form.dataset.key, form.dataset.action, { reason, version: form.dataset.version, said: form.dataset.said, button: event.submitter });
});

const WORDS = { enable: "Enabled", disable: "Disabled", release: "Released", revert: "Reverted" };
const OPPOSITE = { enable: "disable", disable: "enable" };

/** Do one of the flag's actions and follow it; the page then shows what the server holds, whatever came of it. */
export async function act(key, action, { reason = "", version, said, button, body = {} }) {
  const place = document.getElementById(said);
  button?.setAttribute("aria-busy", "true");
  try {
    const answer = await change("POST", `/flags/${encodeURIComponent(key)}/${action}`, { reason, ...body }, version);
    const undo = OPPOSITE[action] && (() => act(key, OPPOSITE[action], { reason: `undo of ${answer.revision}`, version: answer.flag.version, said }));
    follow(place, { revision: answer.revision, words: WORDS[action], flag: key, convergence: answer.convergence, undo });
  } catch (error) {
    say(place, "danger", await explain(key, error));
  } finally {
    button?.removeAttribute("aria-busy");
    await refresh();
  }
}

/** A refusal in words; for a lost race, with what the other person did. */
export async function explain(key, error) {
  const words = refusal(error);
  if (!(error instanceof Refused) || error.status !== 412) return words;
  try {
    const { entries } = await read(`/flags/${encodeURIComponent(key)}/history`);
    return `Not saved: ${entries[0].actor} changed this flag in the meantime (${entries[0].summary}). The page now shows theirs.`;
  } catch {
    return words;
  }
}
