// What is said beside a control: a refusal, or how far a change has got, with its undo. Places are live regions in the page.

import { make } from "./page.js";
import { listen } from "./live.js";
import { noun, unproven } from "./convergence.js";
import { names, plural, short } from "./words.js";

const following = new Map();

/** Say something in a place; `actions` are [words, function] pairs shown as buttons behind it. */
export function say(place, tone, content, actions = []) {
  if (!place) return;
  following.delete(place);
  show(place, tone, content, actions);
}

export function hush(place) {
  if (place) say(place, "", []);
}

function show(place, tone, content, actions) {
  const buttons = actions.map(([words, act]) => {
    const button = make("button", { type: "button", class: "link" }, words);
    button.addEventListener("click", act, { once: true });
    return button;
  });
  place.className = `said ${tone}`;
  place.replaceChildren(...[content].flat(), ...buttons);
}

/** Say that a revision was saved, and go on saying how many have it until all do. */
export function follow(place, { revision, words, flag, convergence, undo }) {
  if (!place) return;
  const change = { revision, words, flag, undo };
  following.set(place, change);
  tell(place, change, { live: convergence.live, missing: convergence.missing, overriding: [], kind: "worker" });
}

function tell(place, change, { live, missing, overriding, kind }) {
  const signature = JSON.stringify([live, missing, overriding]);
  if (signature === change.signature) return;
  change.signature = signature;
  const without = new Set([...missing, ...overriding]).size;
  const saved = make("span", {}, `${change.words} as revision `, make("b", { class: "mono", title: change.revision }, short(change.revision)));
  const said = [saved];
  if (!live) said.push(make("span", {}, "no live worker to tell"));
  else if (!without) said.push(make("span", { class: "lamp clear" }, live === 1 ? `the one ${kind} has it` : `all ${plural(live, kind)} have it`));
  else {
    said.push(make("progress", { max: live, value: live - without, "aria-hidden": "true" }));
    said.push(make("span", { class: "lamp caution" }, `${live - without} of ${plural(live, kind)} have it`));
    if (missing.length) said.push(make("span", {}, `waiting for ${names(missing)}`));
    if (overriding.length) said.push(make("span", {}, `an override file decides at ${names(overriding)}`));
  }
  show(place, without ? "caution" : "clear", said, change.undo ? [["Undo", change.undo]] : []);
}

let known = [];

listen("traffic", ({ instances }) => {
  known = instances;
  for (const [place, change] of following) {
    if (!place.isConnected) following.delete(place);
    else tell(place, change, { live: instances.length, kind: noun(instances), ...unproven(instances, change.revision, change.flag) });
  }
});

// Comes ten times a second while a revision is on its way, and knows nothing of flags and their overrides.
listen("convergence", ({ revision, live, missing }) => {
  for (const [place, change] of following) {
    const { overriding } = unproven(known, revision, change.flag);
    if (revision === change.revision) tell(place, change, { live, missing, overriding, kind: noun(known) });
  }
});
