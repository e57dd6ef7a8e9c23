// Calls the API with the session's cookie and CSRF token, and turns refusals into words for people.

import { page } from "./page.js";

/** The API answered and refused: `status`, and the problem details it sent. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the server answered ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

/** No answer came: whether a write was applied is not known. */
export class Unanswered extends Error {}

function operation() {
  return "ui_" + [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function once(method, path, headers, body) {
  let response;
  try {
    response = await fetch(page.api + path, { method, headers, body, credentials: "same-origin", signal: AbortSignal.timeout(10_000) });
  } catch (error) {
    throw new Unanswered("no answer from the control plane", { cause: error });
  }
  const text = await response.text();
  let document = {};
  try {
    document = text ? JSON.parse(text) : {};
  } catch {
    if (response.ok) throw new Unanswered("the control plane's answer was cut short");
  }
  if (!response.ok) throw new Refused(response.status, document);
  return document;
}

export const read = (path) => once("GET", path, { Accept: "application/json" });

/** Write; a lost answer is asked for once more under the same idempotency key, so it is never applied twice. */
export async function change(method, path, body, version) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": page.csrf, "Idempotency-Key": operation() };
  if (version) headers["If-Match"] = `"${version}"`;
  const text = JSON.stringify(body);
  try {
    return await once(method, path, headers, text);
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
    return once(method, path, headers, text);
  }
}

/** What to say beside the control that was refused. */
export function refusal(error) {
  if (error instanceof Unanswered) {
    return "No answer from the control plane, so it is not known whether this was saved. The page shows what it last saw.";
  }
  if (!(error instanceof Refused)) throw error;
  switch (error.status) {
    case 401: return "You are signed out. Sign in again, then repeat the change.";
    case 403: return `Not allowed: ${error.message}`;
    case 409: return `Refused: ${error.message}`;
    case 412: return "Not saved: somebody changed this flag in the meantime.";
    case 503: return `The store does not take writes right now: ${error.message}`;
    default: return `Not saved: ${error.message}`;
  }
}
