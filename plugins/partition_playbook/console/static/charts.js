// Inline SVG, drawn in the pixels of its host element.

import { bytes, count, day, moment, position, several, svg } from "./dom.js";

const LEFT = 62, RIGHT = 12, TOP = 36, BOTTOM = 24;

// Between two ticks is at least one unit if it is 1: a count has no halves.
function ticks(most, unit, steps = 4) {
  most /= unit;
  const rough = most / steps || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(unit === 1 ? 1 : 0, power * ([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10));
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, index) => index * step * unit);
}

const DAY = 86_400_000;

// Labels of the time axis: years, quarters or months; below a quarter days; below three days hours, minutes or seconds.
function moments(from, to, width) {
  const room = Math.max(2, Math.floor(width / 90));
  const days = (to - from) / DAY;
  if (days < 3) {
    const step = 1_000 * ([1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200]
      .find((each) => (days * 86_400) / each <= room) ?? 86_400);
    const first = Math.ceil(from / step) * step;
    return spread(first, to, (at) => at + step).map((at) => [at, moment(at).slice(11, step < 60_000 ? 19 : 16)]);
  }
  if (days < 92) {
    const step = DAY * ([1, 2, 7, 14].find((each) => days / each <= room) ?? 28);
    const first = Math.ceil(from / step) * step;
    return spread(first, to, (at) => at + step).map((at) => [at, new Date(at).toISOString().slice(0, 10)]);
  }
  const step = [1, 2, 3, 6, 12, 24, 60, 120].find((each) => days / 30.4 / each <= room) ?? 240;
  const start = new Date(from);
  const first = Date.UTC(start.getUTCFullYear(), 0);
  const next = (at) => Date.UTC(new Date(at).getUTCFullYear(), new Date(at).getUTCMonth() + step);
  return spread(first, to, next)
    .filter((at) => at >= from)
    .map((at) => [at, new Date(at).toISOString().slice(0, step >= 12 ? 4 : 7)]);
}

function spread(first, to, next) {
  const found = [];
  for (let at = first; at <= to && found.length < 500; at = next(at)) found.push(at);
  return found;
}

// Labels of an axis of ids.
function ids(from, to, width) {
  return ticks(to, 1, Math.max(2, Math.floor(width / 110))).filter((at) => at >= from).map((at) => [at, count(at)]);
}

function frame(host, label, from, to, most, format, height, labels = moments) {
  const width = Math.max(host.clientWidth, 280);
  const x = (at) => LEFT + ((at - from) / (to - from || 1)) * (width - LEFT - RIGHT);
  const y = (value) => height - BOTTOM - (value / (most || 1)) * (height - TOP - BOTTOM);
  const axis = svg("g", { class: "axis" });
  for (const value of ticks(most, format === bytes ? 1024 ** Math.floor(Math.log(most) / Math.log(1024)) : 1)) {
    axis.append(
      svg("line", { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
      svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, format(value)));
  }
  for (const [at, text] of labels(from, to, width - LEFT)) {
    const last = width - text.length * 3.5; // else the edge would clip it
    axis.append(svg("text", { x: Math.min(x(at), last), y: height - 6, "text-anchor": "middle" }, text));
  }
  const chart = svg("svg", { role: "img", "aria-label": label, width, height, viewBox: `0 0 ${width} ${height}` }, axis);
  host.replaceChildren(chart);
  return { chart, x, y, width };
}

// Draw again when the width of the host changes.
function drawn(host, draw) {
  let width = 0;
  new ResizeObserver(() => {
    if (host.clientWidth !== width) {
      width = host.clientWidth;
      draw();
    }
  }).observe(host);
  return host;
}

export function partitionMap(host, map, measure) {
  const ranged = map.partitions.filter((each) => each.lower != null && each.upper != null && !each.is_default);
  const isIds = typeof map.now === "number";
  const lines = [
    ["now", map.now, isIds ? "greatest id" : "now"],
    ["horizon", map.horizon, "premake"],
    ["cutoff", map.cutoff, `keep ${map.keep}`],
  ].filter(([, at]) => at != null);
  const format = measure === "bytes" ? bytes : count;
  return drawn(host, () => {
    const ends = [...ranged.flatMap((each) => [each.lower, each.upper]), ...lines.map(([, at]) => at)].map(position);
    const from = Math.min(...ends), to = Math.max(...ends);
    const most = Math.max(1, ...ranged.map((each) => each[measure] ?? 0));
    const label = `${several(ranged.length, "partition")} of ${map.table} by ${isIds ? "id" : "time"}; the table below has the same figures`;
    const height = 240;
    const { chart, x, y, width } = frame(host, label, from, to, most, format, height, isIds ? ids : moments);
    for (const each of ranged) {
      const left = x(position(each.lower)), right = x(position(each.upper));
      const gap = right - left > 4 ? 1 : 0;
      const top = Math.min(y(each[measure] ?? 0), height - BOTTOM - 1.5);
      chart.append(svg("rect", {
        class: each.detach_pending ? "bar warn" : map.cutoff && Date.parse(each.upper) <= Date.parse(map.cutoff) ? "bar old" : "bar",
        x: left + gap / 2, width: Math.max(right - left - gap, 0.6), y: top, height: height - BOTTOM - top,
      }, svg("title", {}, `${each.name}\n${day(each.lower, map.timezone)} to ${day(each.upper, map.timezone)}\n`
        + `${bytes(each.bytes)}, about ${several(each.estimated_rows, "row")}`)));
    }
    for (const [kind, at, text] of lines) {
      const place = x(position(at));
      const end = place > width - 90;
      chart.append(
        svg("line", { class: `mark ${kind}`, x1: place, x2: place, y1: kind === "now" ? 26 : 14, y2: height - BOTTOM }),
        svg("text", { class: `mark ${kind}`, x: place + (kind === "now" ? -4 : end ? 0 : 4), y: kind === "now" ? 24 : 11,
          "text-anchor": kind === "now" || end ? "end" : "start" }, text));
    }
  });
}

export function line(host, label, points) {
  return drawn(host, () => {
    const times = points.map((each) => Date.parse(each.at));
    const from = Math.min(...times), to = Math.max(...times, from + 1000);
    const most = Math.max(1, ...points.map((each) => each.value));
    const { chart, x, y } = frame(host, label, from, to, most, count, 170);
    const path = points.map((each, index) => `${index ? "L" : "M"}${x(times[index]).toFixed(1)},${y(each.value).toFixed(1)}`);
    chart.append(
      svg("path", { class: "area", d: `${path.join("")}L${x(times.at(-1))},${y(0)}L${x(times[0])},${y(0)}Z` }),
      svg("path", { class: "line", d: path.join("") }));
  });
}
