// How figures are said. The same words as controlplane/ui/words.py, which writes them where no script runs.

const whole = new Intl.NumberFormat("en");

export const count = (value) => whole.format(Math.round(value ?? 0));

export const plural = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

/** A percentage as somebody set it: exact, without needless zeros. */
export const percent = (value) => `${Number(Number(value).toFixed(3))} %`;

/** A share that was measured, from 0 to 1: one decimal. */
export const share = (value) => (value === 0 || value === 1 ? `${value * 100} %` : `${(value * 100).toFixed(1)} %`);

export const rate = (value) => (value >= 100 ? count(value) : (value ?? 0).toFixed(1));

export function milliseconds(value) {
  if (!value) return "–"; // nothing was measured
  if (value >= 100) return count(value);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function duration(seconds) {
  if (seconds < 0.9995) return `${Math.round(Math.max(0, seconds) * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return age(seconds);
}

/** A time span, coarse, for "… ago". */
export function age(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return plural(Math.floor(seconds / 86400), "day");
}

export const ago = (seconds) => (seconds < 5 ? "just now" : `${age(seconds)} ago`);

/** The part of a revision that people say; the epoch only tells one history from another. */
export const short = (revision) => String(revision ?? "").split("-").pop();

/** Names, the first few of many. */
export function names(list, limit = 3) {
  if (list.length <= limit) return list.length < 2 ? list.join("") : `${list.slice(0, -1).join(", ")} and ${list.at(-1)}`;
  return `${list.slice(0, limit).join(", ")} and ${list.length - limit} more`;
}
