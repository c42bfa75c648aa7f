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

/** The address of a page of this page. */
export const way = (kind, name) => `#/${kind}/${encodeURIComponent(name)}`;

/** A link, or the text alone where there is nothing to lead to. */
export function link(kind, name, text = name) {
  return name === null || name === undefined || name === "" ? document.createTextNode(text ?? NOTHING) : make("a", { href: way(kind, name), textContent: text });
}

/** A panel with its heading and what is said beside it. */
export function panel(title, { id, className = "" } = {}, ...children) {
  const heading = id ?? `panel-${title.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;
  const aside = make("p", { className: "quiet aside" });
  const section = make(
    "section", { className: `panel ${className}`.trim(), attr: { "aria-labelledby": heading } },
    make("div", { className: "head" }, make("h2", { id: heading, textContent: title }), aside),
    ...children,
  );
  return Object.assign(section, { aside });
}

/** A table with these heads ({text, number}) and an empty body. */
export function table(caption, heads) {
  const cells = heads.map((head) => make("th", { textContent: head.text ?? head, className: head.number ? "number" : "", attr: { scope: "col" } }));
  return make("table", {}, make("caption", { className: "unseen", textContent: caption }), make("thead", {}, make("tr", {}, ...cells)), make("tbody"));
}

export function row(...cells) {
  return make("tr", {}, ...cells.map((cell) => {
    const { number = false, code = false, of = cell } = cell !== null && typeof cell === "object" && !(cell instanceof Node) ? cell : {};
    return make("td", { className: [number && "number", code && "code"].filter(Boolean).join(" ") }, of instanceof Node ? of : String(of ?? NOTHING));
  }));
}

/** Ask for JSON; null when it is not there or nobody answers. */
export async function ask(path) {
  try {
    const answer = await fetch(path);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

/** Ask again and again while a view is looked at: never twice at once, never in a tab that nobody sees. */
export function keepAsking(path, every, take) {
  let ended = false;
  let timer = 0;
  const turn = async () => {
    if (!document.hidden) {
      const told = await ask(path);
      if (ended) return;
      take(told);
    }
    timer = setTimeout(turn, every);
  };
  turn();
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}
