// One flag's page: its switch, its line diagram, and going back to an earlier revision.

import "./evidence.js";
import "./tracks.js";
import { act } from "./switches.js";

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-revert]");
  if (!form) return;
  event.preventDefault();
  const { key, version, said, revert } = form.dataset;
  act(key, "revert", { version, said, body: { revision: revert }, button: event.submitter });
});
