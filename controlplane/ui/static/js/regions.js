// Brings parts of the page up to date from the page itself as the server would write it now.
// A region that somebody is editing is left alone; what was opened stays open, what had the focus keeps it.

import { all, one } from "./page.js";

let running = null;
let again = false;

/**
 * Fetch this page anew and swap in its regions; answers whether that worked.
 * Calls that come while one is under way are joined into one more.
 */
export function refresh() {
  if (running) {
    again = true;
    return running;
  }
  running = swap().finally(() => {
    running = null;
    if (again) {
      again = false;
      refresh();
    }
  });
  return running;
}

async function swap() {
  if (!one("[data-region]")) return true;
  let response;
  try {
    response = await fetch(location.href, { credentials: "same-origin", headers: { Accept: "text/html" } });
  } catch {
    return false; // the state of the line is told by live.js
  }
  if (!response.ok || response.redirected) return false;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const region of all("[data-region]")) {
    const next = one(`[data-region="${CSS.escape(region.dataset.region)}"]`, fresh);
    if (next && !one("[data-edited]", region) && !region.matches("[data-edited]")) exchange(region, document.importNode(next, true));
  }
  document.dispatchEvent(new CustomEvent("refreshed"));
  return true;
}

function exchange(old, next) {
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  for (const details of all("details[id][open]", old)) {
    const twin = one(`#${CSS.escape(details.id)}`, next);
    if (twin) twin.open = true;
  }
  for (const kept of all("[data-keep]", old)) one(`#${CSS.escape(kept.id)}`, next)?.replaceWith(kept);
  for (const field of all("input[data-draft]", old)) {
    const twin = one(`#${CSS.escape(field.id)}`, next);
    if (twin) twin.value = field.value;
  }
  old.replaceWith(next);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}
