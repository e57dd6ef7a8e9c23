// What the server told this page: addresses, the CSRF token, who is looking. Nothing here changes while the page is open.

const told = (name) => document.querySelector(`meta[name="signalbox:${name}"]`)?.content ?? "";

export const page = Object.freeze({
  environment: told("environment"),
  api: told("api"),
  stream: told("stream"),
  revision: told("revision"),
  csrf: told("csrf"),
});

export const one = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];

/** Make an element; children are nodes or text, never markup. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** Set a lamp: its tone (clear, caution, danger, waiting, running) and its words. */
export function lamp(element, tone, words, title = "") {
  if (!element) return;
  if (!element.classList.contains(tone)) element.className = `lamp ${tone}`;
  write(element, words);
  element.title = title;
}

/** Write text only where it differs, so that screen readers and selections are left alone. */
export function write(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}
