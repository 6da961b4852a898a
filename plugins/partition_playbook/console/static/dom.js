// Elements and formats. Every value of a database becomes a text node, never markup.

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
  // The locale sv-SE writes dates in ISO 8601.
  const options = { timeZone: timezone, dateStyle: "short", timeStyle: "medium" };
  if (!clocks.has(timezone)) clocks.set(timezone, new Intl.DateTimeFormat("sv-SE", options));
  return clocks.get(timezone);
}

// ---- Numbers, by the rules of figures.py; an en dash for null.

const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const HOUR = 3600, DAY = 86_400;
// A duration below the limit is written in whole units and the rest in parts, all in seconds.
const DURATIONS = [[HOUR, 60, "min", 1, "s"], [2 * DAY, HOUR, "h", 60, "min"], [10 * DAY, DAY, "days", HOUR, "h"]];

// About two significant digits and no trailing zero; from 100 on a whole number.
function short(value) {
  const amount = Math.abs(value);
  if (amount >= 99.95) return whole.format(Math.round(value) + 0);
  const decimals = amount >= 1 ? 1 : amount ? Math.min(3, 1 - Math.floor(Math.log10(amount))) : 0;
  return String(Number(value.toFixed(decimals)));
}

export const count = (value) => (value == null ? "–" : whole.format(Math.round(value) + 0));

// A number with its noun: 1 partition, 1,000 rows; an irregular plural is given.
export const several = (value, noun, plural = `${noun}s`) =>
  `${count(value)} ${value != null && Math.abs(Math.round(value)) === 1 ? noun : plural}`;

export function bytes(value) {
  if (value == null) return "–";
  if (Math.abs(Math.round(value)) < 1024) return several(value, "byte");
  let scaled = value;
  for (const unit of UNITS) {
    scaled /= 1024;
    if (Math.abs(Math.round(scaled)) < 1024) return `${short(scaled)} ${unit}`;
  }
  return `${short(scaled)} ${UNITS.at(-1)}`;
}

export function milliseconds(value) {
  if (value == null || !Number.isFinite(value)) return "–";
  if (value < 0) return `-${milliseconds(-value)}`;
  if (value > 0 && value < 0.0005) return "under 0.001 ms";
  return Math.round(value) < 1000 ? `${short(value)} ms` : long(value / 1000);
}

// A duration of at least a second, in the largest two units that it fills.
function long(value) {
  if (Number(value.toFixed(1)) < 60) return `${short(value)} s`;
  for (const [limit, unit, name, part, rest] of DURATIONS) {
    const parts = Math.round(value / part);
    if (parts * part < limit) {
      const left = parts % (unit / part);
      return `${(parts - left) / (unit / part)} ${name}${left ? ` ${left} ${rest}` : ""}`;
    }
  }
  return several(value / DAY, "day");
}

export const duration = (value) => milliseconds(value == null ? null : 1000 * value);

// A share of one: only all of it is 100 %, only nothing 0 %.
export function percent(share) {
  if (share == null) return "–";
  const value = 100 * share, amount = Math.abs(value);
  if (amount > 0 && amount < 0.05) return value > 0 ? "under 0.1 %" : "over -0.1 %";
  if (amount > 99 && amount < 100) return `${short(Math.trunc(10 * value) / 10)} %`;
  return `${amount >= 9.95 ? count(value) : short(value)} %`;
}

// A saved share of a cost in words: 0.5 is 50 % faster, -0.36 is 36 % slower.
export function gain(share, less = "faster", more = "slower", same = "as fast as before") {
  return Math.abs(share) < 0.005 ? same : `${percent(Math.abs(share))} ${share > 0 ? less : more}`;
}

// A measurement in its unit: bytes, ms and s in their words, any other after the number.
export function measured(value, unit) {
  const written = { bytes, ms: milliseconds, s: duration }[unit];
  return written ? written(value) : `${Math.abs(value) >= 100 ? count(value) : short(value)} ${unit}`.trim();
}

// ---- Moments

export const seconds = (from, to) => (new Date(to) - new Date(from)) / 1000;

export function moment(value, timezone = zone) {
  return value == null ? "–" : clock(timezone).format(new Date(value));
}

// The place of a bound on a scale: a moment, or an id, which is a number.
export const position = (value) => (typeof value === "number" ? value : Date.parse(value));

export function day(value, timezone) {
  if (typeof value === "number") return count(value);
  const text = moment(value, timezone);
  if (text.endsWith(" 00:00:00")) return text.slice(0, 10);
  return text.endsWith(":00") ? text.slice(0, 16) : text;
}

export function time(value) {
  return value == null ? "–" : h("time", { datetime: value, title: zone }, moment(value));
}

const TONES = {
  go: "good", green: "good", passed: "good", attached: "good", loaded: "good", live: "good", finalized: "good",
  "no-go": "bad", red: "bad", failed: "bad", lost: "bad", abandoned: "bad",
  yellow: "warn", warning: "warn", waiting: "warn", loading: "busy", running: "busy", rolled_back: "warn",
  "asks a person": "warn", retrying: "warn", waived: "warn", "no checks": "bad",
};

export const badge = (text, tone = TONES[text] ?? "quiet") => h("span", { class: `badge ${tone}` }, text);

// On a phone each row is a card, so each cell carries the name of its column.
export function labelled(heads, row) {
  [...row.children].forEach((each, index) => each.setAttribute("data-label", heads[index].name ?? heads[index]));
  return row;
}

export function table(caption, heads, rows) {
  // A scrolling region must be focusable by keyboard.
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h("table", {},
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, heads.map((each) => h("th", { scope: "col", class: each.class }, each.name ?? each)))),
      h("tbody", {}, rows.map((each) => labelled(heads, each)))));
}

export const right = (name) => ({ name, class: "number" });
export const number = (text) => h("td", { class: "number" }, text);
export const cell = (...content) => h("td", {}, ...content);

export const figure = (label, value, note) =>
  h("div", { class: "figure" }, h("dt", {}, label), h("dd", {}, value, note && h("small", {}, note)));

export const figures = (...content) => h("dl", { class: "figures" }, ...content);

export const empty = (title, ...text) => h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, ...text));

// The sandbox of Airflow's iframe blocks popups and top navigation; a link of the parent page is allowed both.
export function leave(path, text, id = null) {
  const href = new URL(`../${path}`, document.baseURI.split("?")[0]).href;
  return h("a", {
    href,
    id,
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

// A button that copies a text; without the right to the clipboard the text of a field is copied.
export function copyButton(text, id = null) {
  const button = h("button", { id, class: "copy", async onclick() {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const field = h("textarea", { class: "aside" }, text);
      button.after(field);
      field.select();
      document.execCommand("copy");
      field.remove();
    }
    button.textContent = "copied";
  } }, "copy");
  return button;
}

export const copyable = (text, id) => [h("code", {}, text), " ", copyButton(text, id)];

const unfolded = new Set(); // the captions of the long tables that a person has opened

// A table that shows its first rows, and all of them on demand.
export function folding(caption, heads, rows, most) {
  const listed = table(caption, heads, rows);
  if (rows.length <= most) return [listed];
  const button = h("button", { id: `fold-${caption.replaceAll(/\W+/g, "-")}`, onclick() {
    if (!unfolded.delete(caption)) unfolded.add(caption);
    draw();
  } });
  function draw() {
    const open = unfolded.has(caption);
    rows.forEach((each, index) => { each.hidden = !open && index >= most && !each.classList.contains("chosen"); });
    button.textContent = open ? `Show the first ${count(most)} only` : `Show all ${count(rows.length)}`;
    button.setAttribute("aria-expanded", String(open));
  }
  draw();
  return [listed, h("p", {}, button)];
}
