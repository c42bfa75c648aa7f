// How numbers, times and elements are written: one way for the whole page.

export const NOTHING = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

const missing = (value) => value === null || value === undefined || Number.isNaN(value);

export const count = (value) => (missing(value) ? NOTHING : whole.format(value));
export const fixed = (value, digits) => (missing(value) ? NOTHING : value.toFixed(digits));
export const time = (seconds) => (missing(seconds) ? NOTHING : clock.format(new Date(seconds * 1000)));

/** Seconds with the unit that reads best: 14 ms, 1.20 s, 3 min 05 s. */
export function duration(seconds) {
  if (missing(seconds)) return NOTHING;
  if (Math.abs(seconds) < 1) return `${Math.round(seconds * 1000)} ms`;
  if (Math.abs(seconds) < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const minutes = Math.floor(seconds / 60);
  return `${minutes} min ${String(Math.floor(seconds - minutes * 60)).padStart(2, "0")} s`;
}

/** An element with properties (attributes by `attr`, data by `data`) and children; text is never parsed as HTML. */
export function make(tag, { attr = {}, data = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attr)) element.setAttribute(name, value);
  Object.assign(element.dataset, data);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Put children in place only where something changed, so that focus and open details stay. */
export function keep(parent, keyed) {
  const present = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let before = null;
  for (const [key, stamp, build] of keyed) {
    let child = present.get(key);
    present.delete(key);
    if (!child || child.dataset.stamp !== stamp) {
      const fresh = build(child);
      fresh.dataset.key = key;
      fresh.dataset.stamp = stamp;
      if (child && child !== fresh) child.replaceWith(fresh);
      child = fresh;
    }
    const wanted = before ? before.nextSibling : parent.firstChild;
    if (child !== wanted) parent.insertBefore(child, wanted);
    before = child;
  }
  for (const gone of present.values()) gone.remove();
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
