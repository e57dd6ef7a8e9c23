// The list of flags: searching it. Switches and refreshing are shared with the other pages.

import { all, one } from "./page.js";
import "./switches.js";

const search = one("[data-search]");

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = all("[data-text]");
  for (const row of rows) row.hidden = !words.every((word) => row.dataset.text.includes(word));
  const none = one("[data-none]");
  if (none) none.hidden = !rows.length || rows.some((row) => !row.hidden);
}

search.addEventListener("input", filter);
search.form.addEventListener("submit", (event) => {
  event.preventDefault();
  one("[data-text]:not([hidden]) a.key")?.click();
});
document.addEventListener("refreshed", filter);
filter();
