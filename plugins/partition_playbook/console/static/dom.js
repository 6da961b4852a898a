// Elements and formats. Whatever comes from a database becomes text here, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((each) => each != null && each !== false));
  return element;
}

export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

const whole = new Intl.NumberFormat("en");
const zone = localStorage.getItem("timezone") || "UTC";
const clocks = new Map();

function clock(timezone) {
  // Sweden writes dates as ISO 8601 does.
  const options = { timeZone: timezone, dateStyle: "short", timeStyle: "medium" };
  if (!clocks.has(timezone)) clocks.set(timezone, new Intl.DateTimeFormat("sv-SE", options));
  return clocks.get(timezone);
}

export const several = (found, noun) => `${count(found)} ${noun}${found === 1 ? "" : "s"}`;
export const count = (value) => (value == null ? "–" : whole.format(Math.round(value)));

export function bytes(value) {
  if (value == null) return "–";
  const power = Math.min(Math.floor(Math.log(Math.max(Math.abs(value), 1)) / Math.log(1024)), 5);
  const scaled = value / 1024 ** power;
  return `${scaled.toFixed(power && Math.abs(scaled) < 100 ? 1 : 0)} ${["B", "kB", "MB", "GB", "TB", "PB"][power]}`;
}

export function milliseconds(value) {
  if (value == null) return "–";
  return value < 10_000 ? `${value.toFixed(value < 10 ? 2 : 1)} ms` : duration(value / 1000);
}

export function duration(seconds) {
  if (seconds == null || !isFinite(seconds)) return "–";
  if (seconds < 100) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.round(minutes / 1440)} days`;
}

export const seconds = (from, to) => (new Date(to) - new Date(from)) / 1000;

export function moment(value, timezone = zone) {
  return value == null ? "–" : clock(timezone).format(new Date(value));
}

export function day(value, timezone) {
  const text = moment(value, timezone);
  return text.endsWith(" 00:00:00") ? text.slice(0, 10) : text;
}

export function time(value) {
  return value == null ? "–" : h("time", { datetime: value, title: zone }, moment(value));
}

const TONES = {
  go: "good", green: "good", passed: "good", attached: "good", loaded: "good", live: "good", finalized: "good",
  "no-go": "bad", red: "bad", failed: "bad", abandoned: "bad",
  yellow: "warn", warning: "warn", waiting: "warn", loading: "busy", running: "busy", rolled_back: "warn",
};

export const badge = (text, tone = TONES[text] ?? "quiet") => h("span", { class: `badge ${tone}` }, text);

// On a phone each row stands as a card, where a cell tells its own name.
export function labelled(heads, row) {
  [...row.children].forEach((each, index) => each.setAttribute("data-label", heads[index].name ?? heads[index]));
  return row;
}

export function table(caption, heads, rows) {
  // A region that scrolls must be reached by the keyboard.
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h("table", {},
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, heads.map((each) => h("th", { scope: "col", class: each.class }, each.name ?? each)))),
      h("tbody", {}, rows.map((each) => labelled(heads, each)))));
}

export const number = (text) => h("td", { class: "number" }, text);
export const cell = (...content) => h("td", {}, ...content);

export const figure = (label, value, note) =>
  h("div", { class: "figure" }, h("dt", {}, label), h("dd", {}, value, note && h("small", {}, note)));

export const figures = (...content) => h("dl", { class: "figures" }, ...content);

export const empty = (title, ...text) => h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, ...text));

// Airflow's frame lets nothing in it open a window or move the page around it; a link of that page may.
export function leave(path, text) {
  const href = new URL(`../${path}`, document.baseURI.split("?")[0]).href;
  return h("a", {
    href,
    target: "_top",
    onclick(event) {
      if (window.parent === window) return;
      event.preventDefault();
      const link = window.parent.document.createElement("a");
      link.href = href;
      link.target = event.metaKey || event.ctrlKey ? "_blank" : "_self";
      link.click();
    },
  }, text);
}
