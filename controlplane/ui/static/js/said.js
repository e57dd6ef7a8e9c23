// What is said beside a control: a refusal, or how far a change has got, with its undo. Places are live regions in the page.

import { make } from "./page.js";
import { listen } from "./live.js";
import { divide, noun } from "./convergence.js";
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
export function follow(place, { revision, words = "Saved", flag, convergence, undo }) {
  if (!place) return;
  const change = { revision, words, flag, undo, began: performance.now() };
  following.set(place, change);
  tell(place, change, convergence?.live ?? 0, convergence?.acknowledged ?? 0, convergence?.missing ?? [], "worker");
}

function tell(place, change, live, having, missing, kind) {
  const actions = change.undo ? [["Undo", change.undo]] : [];
  const saved = make("span", {}, `${change.words} as revision `, make("b", { class: "mono", title: change.revision }, short(change.revision)));
  if (!live) return show(place, "clear", [saved, make("span", {}, "no live worker to tell")], actions);
  if (having >= live) {
    change.seconds ??= (performance.now() - change.began) / 1000;
    return show(place, "clear", [saved, make("span", { class: "lamp clear" }, live === 1 ? `the one ${kind} has it` : `all ${plural(live, kind)} have it`)], actions);
  }
  const progress = make("progress", { max: live, value: having, "aria-hidden": "true" });
  const far = make("span", { class: "lamp caution" }, `${having} of ${plural(live, kind)} have it`);
  return show(place, "caution", [saved, progress, far, make("span", {}, `waiting for ${names(missing)}`)], actions);
}

listen("traffic", ({ instances }) => {
  for (const [place, change] of following) {
    if (!place.isConnected) {
      following.delete(place);
      continue;
    }
    const { acknowledged, missing } = divide(instances, change.revision, change.flag);
    const signature = `${instances.length}/${missing.map((each) => each.slot)}`;
    if (signature === change.signature) continue;
    change.signature = signature;
    tell(place, change, instances.length, acknowledged.length, missing.map((each) => each.slot), noun(instances));
  }
});

listen("convergence", (detail) => {
  for (const [place, change] of following) {
    if (detail.revision === change.revision) tell(place, change, detail.live, detail.acknowledged, detail.missing ?? [], "worker");
  }
});
