// Queues and dead letters: looked at again every two seconds; a replay is said beside the button.

import { all, one } from "./page.js";
import { change, refusal } from "./api.js";
import { refresh } from "./regions.js";
import { say } from "./said.js";
import { plural } from "./words.js";

const form = one("form[data-letters]");
const boxes = () => all("input[name=ids]:not(:disabled)", form);

function choose() {
  const any = boxes().some((box) => box.checked);
  const region = one("[data-region=letters]", form);
  region.toggleAttribute("data-edited", any); // what somebody has ticked is not swapped away
  const every = one("[data-choose-all]", form);
  if (!every) return;
  every.hidden = false;
  every.checked = any && boxes().every((box) => box.checked);
  every.indeterminate = any && !every.checked;
}

async function replay() {
  const ids = boxes().filter((box) => box.checked).map((box) => box.value);
  const place = document.getElementById("said-letters");
  if (!ids.length) return say(place, "caution", "Choose the letters to replay first.");
  try {
    const answer = await change("POST", `/queues/${encodeURIComponent(form.dataset.letters)}/dead-letters/replay`, { ids, quarantine: form.dataset.shelf === "quarantine" });
    const left = answer.left ? `; left: ${answer.left} (not admitted, or no such letter)` : "";
    say(place, left ? "caution" : "clear", `${plural(answer.replayed, "message")} put back into the queue${left}.`);
  } catch (error) {
    say(place, "danger", refusal(error));
  }
  one("[data-region=letters]", form).removeAttribute("data-edited");
  return refresh();
}

if (form) {
  form.addEventListener("change", (event) => {
    if (event.target.matches("[data-choose-all]")) for (const box of boxes()) box.checked = event.target.checked;
    choose();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    replay();
  });
  document.addEventListener("refreshed", choose);
  choose();
}

setInterval(() => { if (!document.hidden) refresh(); }, 2_000);
