// "Go to…": Ctrl K (or ⌘K) opens a list of the pages and flags; typing narrows it, arrows walk it, Enter goes.

import { all, make, one, page } from "./page.js";
import { read } from "./api.js";

const dialog = one("dialog[data-goto]");
const field = one("input", dialog);
const list = one("ul", dialog);
const links = () => all("a", list).filter((link) => !link.parentElement.hidden);

const entry = (href, name, kind) => make("li", {}, make("a", { href }, make("span", {}, name), make("small", { class: "quiet" }, kind)));

let loading = Promise.resolve();

function open() {
  if (dialog.open) return;
  field.value = "";
  list.replaceChildren(...all(".rail a").map((link) => entry(link.href, link.getAttribute("aria-label") ?? link.firstChild.textContent, "page")));
  dialog.showModal();
  loading = addFlags();
}

async function addFlags() {
  try {
    const { flags } = await read("/flags");
    const address = (key) => `/environments/${encodeURIComponent(page.environment)}/flags/${key.split("/").map(encodeURIComponent).join("/")}`;
    list.append(...flags.map((flag) => entry(address(flag.key), flag.key, "flag")));
    narrow();
  } catch {
    // without the flags the pages are still there to go to
  }
}

function narrow() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const item of list.children) item.hidden = !words.every((word) => item.textContent.toLowerCase().includes(word));
}

function walk(step) {
  const stops = [field, ...links()];
  const at = stops.indexOf(document.activeElement);
  stops[(at + step + stops.length) % stops.length].focus();
}

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
    event.preventDefault();
    open();
  }
});
one("[data-goto-open]").addEventListener("click", open);
dialog.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  walk(step);
});
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
field.addEventListener("input", narrow);
field.form.addEventListener("submit", async (event) => {
  event.preventDefault();
  await loading; // who types fast may be ahead of the list
  links()[0]?.click();
});
