// One function per view: it returns the content, and `live` if the view has to be refreshed.

import { partitionMap } from "./charts.js";
import {
  badge, bytes, cell, copyButton, count, day, duration, empty, figure, figures, folding, gain, h, labelled, leave, measured, milliseconds, moment, number, percent, position, right,
  seconds, several, table, time,
} from "./dom.js";
import { run } from "./run.js";

const link = (text, onclick) => h("button", { onclick }, text);

// ---- Tables

async function tables({ tables: listed, chosen, choose }) {
  if (!listed.length) {
    return { content: empty("No table spec", "Write one YAML file per table into include/tables; see docs/table-spec.md.") };
  }
  const rows = listed.map((each) => h("tr", { class: each.spec === chosen.table && "chosen" },
    cell(link(each.spec, () => choose({ table: each.spec, view: "partitions" }))),
    cell(each.health ? badge(each.health.status) : badge(each.problem ? "unknown" : "never checked")),
    h("td", { class: "long" }, each.problem ? [each.problem.problem, ". ", each.problem.remedy]
      : each.health?.problems.join(", ") || "–"),
    number(bytes(each.health?.bytes)),
    number(bytes(each.health?.bytes_per_day)),
    number(count(each.health?.partitions)),
    number(count(each.health?.ahead)),
    number(count(each.health?.default_rows)),
    cell(each.health?.partitions_end ? day(each.health.partitions_end) : "–"),
    cell(each.health?.full_at ? day(each.health.full_at) : "–"),
    cell(time(each.health?.checked_at)),
    cell(time(each.health?.due)),
    cell(each.last_run ? [badge(each.last_run.state), " ", each.last_run.mode] : "none")));
  const heads = ["Table", "Health", "Problems", right("Size"), right("Per day"), right("Partitions"), right("Ahead"),
    right("In default"), "Partitions end", "Disk full", "Checked", "Due", "Last run"];
  return { content: table("All table specs, with the state at the last partition_maintenance", heads, rows) };
}

// ---- Partitions

const FEW_AHEAD = 6; // more partitions ahead are in a table of their own
const MOST_PARTITIONS = 24; // shown before the table is unfolded
let measure = "bytes";

async function partitions(page) {
  const map = await page.askTable("partitions");
  return { content: drawMap(page, map) };
}

function drawMap(page, map) {
  const self = map.siblings.find((each) => each.role === "table");
  if (!self) return empty(`${map.table} does not exist`, "Correct the key `table` or `connection` in its spec.");
  const health = page.tables.find((each) => each.spec === page.chosen.table)?.health;
  if (map.partitions.length) return [overview(map, health), ...charted(page, map)];
  const building = page.runs.find((each) => each.mode !== "maintenance" && ["shadowed", "attached", "rolled_back"].includes(each.phase));
  return [plainOverview(self, health), ...siblings(map, building), unpartitioned(page, map, self, building)];
}

const plainOverview = (self, health) => figures(
  figure("Health", health ? badge(health.status) : badge("never checked"), health?.problems.join(", ")),
  figure("Partitions", "none", "not partitioned"),
  figure("Size", bytes(self.bytes)),
  figure("Rows", `≈ ${count(self.estimated_rows)}`, "as last analyzed"));

function overview(map, health) {
  const size = map.partitions.reduce((sum, each) => sum + (each.bytes ?? 0), 0);
  const rows = map.partitions.reduce((sum, each) => sum + each.estimated_rows, 0);
  const spare = map.partitions.find((each) => each.is_default);
  const now = position(map.now);
  const interval = map.interval.replace(/^\d+/, (number) => count(Number(number)));
  const ahead = map.partitions.filter((each) => each.lower != null && position(each.lower) > now).length;
  return figures(
    figure("Health", health ? badge(health.status) : badge("never checked"), health?.problems.join(", ")),
    figure("Partitions", count(map.partitions.length), `${count(ahead)} ahead; interval: ${interval}`),
    map.interval_change && figure("Change of interval", `to ${interval}`, map.interval_change),
    map.ids_left != null && figure("Ids left", count(map.ids_left), map.ids_last),
    figure("Size", bytes(size), health?.bytes_per_day != null && `${bytes(health.bytes_per_day)} per day`),
    figure("Rows", `≈ ${count(rows)}`, "as last analyzed"),
    figure("Default partition", spare ? `≈ ${several(spare.estimated_rows, "row")}` : "none", spare && bytes(spare.bytes)),
    figure("Retention", map.keep ?? "none", map.cutoff && `before ${moment(map.cutoff, map.timezone).slice(0, map.interval.includes("hour") ? 16 : 10)}`));
}

function siblings(map, building = null) {
  // The partitions of a shadow are attached to it after their loads; until then the run alone knows of them.
  const loaded = (each) => (each.role === "shadow" ? building : null) ?? { bytes: 0, rows: 0 };
  const beside = map.siblings.filter((each) => each.role !== "table");
  const rows = [
    ...beside.map((each) => h("tr", {}, h("td", { class: "name" }, each.name), cell(badge(each.role)),
      number(bytes(each.bytes == null ? null : Math.max(each.bytes, loaded(each).bytes))),
      number(`≈ ${count(Math.max(each.estimated_rows, loaded(each).rows))}`), cell("–"))),
    ...map.detached.map((each) => h("tr", {}, h("td", { class: "name" }, each.name),
      cell(badge(each.archived ? "detached, archived" : each.kept ? "detached, kept" : "detached")),
      number("–"), number("–"), cell(time(each.since)))),
  ];
  return rows.length
    ? [table("Siblings and detached partitions", ["Name", "Role", right("Size"), right("Rows"), "Since"], rows)] : [];
}

// Beside a shadow a migration is under way: no plan is due then.
function unpartitioned(page, map, self, building) {
  const shadow = map.siblings.find((each) => each.role === "shadow");
  if (!shadow) {
    return empty("This table is not partitioned",
      `It has about ${several(self.estimated_rows, "row")}, ${bytes(self.bytes)}. Trigger partition_migration in mode plan: it changes nothing.`);
  }
  const loaded = building ? `${several(building.rows ?? 0, "row")} of ${several(building.partitions, "partition")} loaded, ${bytes(building.bytes)}. ` : "";
  return empty("A migration of this table is under way", `It builds ${shadow.name}. ${loaded}`,
    building && link("Open its run", () => page.choose({ run: building.run_id, view: "run" })));
}

function charted(page, map) {
  const place = h("div", { class: "chart" });
  const show = (each) => {
    measure = each;
    page.choose({ view: "partitions" });
  };
  const toggle = h("div", { class: "bar-of-filters", role: "group", "aria-label": "Height of the bars" },
    ["bytes", "estimated_rows"].map((each) => h("button", { "aria-pressed": String(each === measure),
      onclick: () => show(each) }, each === "bytes" ? "by size" : "by rows")));
  partitionMap(place, map, measure);
  const isIds = typeof map.now === "number", now = position(map.now);
  // In a table with hours a midnight has its hour too.
  const bounds = map.partitions.flatMap((each) => [each.lower, each.upper]).filter((each) => typeof each === "string");
  const withHours = bounds.some((each) => day(each, map.timezone).length > 10);
  const bound = (at) => (withHours && at != null ? moment(at, map.timezone).slice(0, 16) : day(at, map.timezone));
  const row = (each) => h("tr", { class: each.name === page.chosen.partition && "chosen" },
    h("td", { class: "name" }, each.name),
    h("td", { class: "date" }, each.is_default ? "default" : bound(each.lower)),
    h("td", { class: "date" }, each.is_default ? "" : bound(each.upper)),
    number(bytes(each.bytes)), number(`≈ ${count(each.estimated_rows)}`),
    cell(each.detach_pending && badge("detach pending", "warn"),
      map.cutoff && each.upper && Date.parse(each.upper) <= Date.parse(map.cutoff) && badge("past retention"),
      each.bytes == null && badge("locked", "warn")));
  const heads = ["Partition", isIds ? "From id" : `From (${map.timezone})`, "To", right("Size"), right("Rows"), "State"];
  const listed = (caption, found, most) => folding(`${caption}, ${isIds ? "greatest ids" : "newest"} first`, heads, found.map(row).reverse(), most);
  // Many empty partitions ahead would hide those with rows.
  const ahead = map.partitions.filter((each) => !each.is_default && each.lower != null && position(each.lower) > now);
  if (ahead.length <= FEW_AHEAD) {
    return [toggle, place, ...siblings(map), ...listed(several(map.partitions.length, "partition"), map.partitions, MOST_PARTITIONS)];
  }
  const begun = map.partitions.filter((each) => !ahead.includes(each));
  return [toggle, place, ...siblings(map), ...listed(several(begun.length, "partition"), begun, MOST_PARTITIONS),
    ...listed(`${count(ahead.length)} ahead`, ahead, FEW_AHEAD)];
}

// ---- Gates

const failed = (check) => check.outcome === "failed";

function tone(check) {
  if (check.outcome === "waived") return "warn";
  if (!failed(check)) return check.outcome === "passed" ? "good" : "quiet";
  return check.severity === "error" ? "bad" : "warn";
}

async function gates(page) {
  const found = await page.askRun("gates");
  if (!found.length) return { content: empty("No check yet", "Preflight makes the first checks.") };
  return { content: found.map(gate) };
}

function gate({ section, go, checks }) {
  const waived = checks.filter((each) => each.outcome === "waived").length;
  const of = (kind) => checks.filter((each) => tone(each) === kind).length;
  const summed = [[of("good"), "passed"], [of("bad"), "failed"], [waived, "waived"], [of("warn") - waived, "to review"], [of("quiet"), "skipped"]]
    .filter(([found]) => found).map((each) => each.join(" ")).join(", ");
  const worstFirst = [...checks].sort((one, other) => (tone(other) === "bad") - (tone(one) === "bad"));
  const rows = worstFirst.map((each) => h("tr", { class: tone(each) === "bad" && "failed" },
    cell(badge(failed(each) && each.severity !== "error" ? each.severity : each.outcome, tone(each))),
    h("td", { class: "name mono" }, each.name),
    h("td", { class: "long" }, each.expected),
    h("td", { class: "long" }, each.actual, (failed(each) || each.outcome === "waived") && each.remedy && h("p", { class: "note" }, each.remedy)),
    cell(evidence(each.evidence))));
  return h("details", { class: "section", open: !go },
    h("summary", {}, h("h2", {}, section), badge(go ? "go" : "no-go"), waived > 0 && badge("waived", "warn"), h("span", { class: "muted" }, summed)),
    table(`Checks of ${section}`, ["Outcome", "Check", "Expected", "Actual", "Evidence"], rows));
}

const evidence = (content) => Object.keys(content).length
  ? lazily("show", () => h("pre", {}, JSON.stringify(content, null, 2))) : "–";

// Build the content of a fold when it is opened.
function lazily(title, build) {
  const folded = h("details", { ontoggle: () => folded.children.length < 2 && folded.append(build()) }, h("summary", {}, title));
  return folded;
}

// ---- Plans

async function plans(page) {
  const found = await page.askRun("plans");
  if (!found.length) return { content: empty("No plan yet", "The sections snapshot and pruning plan and time each query of the spec.") };
  return { content: found.map(compared) };
}

function compared({ query, sql, before, after }) {
  return h("details", { class: "section", open: true },
    h("summary", {}, h("h2", {}, query), changed(before?.ms, after?.ms, "faster", "slower", "as fast as before"),
      changed(before?.buffers, after?.buffers, "fewer pages", "more pages", "as many pages as before")),
    sql && h("div", { class: "query" }, copiedBlock(sql, `Text of ${query}`)),
    h("div", { class: "side-by-side" }, side("Before", query, before), side("After", query, after)));
}

// The difference only; the checks of the section pruning judge it.
function changed(before, after, less, more, same) {
  if (!before || after == null) return null;
  const saved = 1 - after / before;
  return badge(gain(saved, less, more, same), saved >= 0.05 ? "good" : saved <= -0.05 ? "warn" : "quiet");
}

const copiedBlock = (text, label) => h("div", { class: "block" }, copyButton(text),
  h("pre", { class: "plan", tabindex: 0, role: "region", "aria-label": label }, text.split("\n").map(hanging)));

// A line that wraps goes on below its own beginning.
function hanging(text) {
  const line = h("span", {}, text.trimStart() || " ");
  line.style.paddingLeft = `${text.length - text.trimStart().length + 4}ch`;
  return line;
}

function side(title, query, timed) {
  if (!timed) return h("div", {}, h("h3", {}, title), h("p", { class: "muted" }, "not measured"));
  return h("div", {}, h("h3", {}, title),
    h("p", {}, `${milliseconds(timed.ms)}, including ${milliseconds(timed.planning_ms)} for planning; ${several(timed.buffers, "page")}`),
    timed.plan && copiedBlock(drawPlan(timed.plan).join("\n"), `${title}: plan of ${query}`));
}

function drawPlan(node, depth = 0) {
  const on = [node["Relation Name"], node["Index Name"] && `using ${node["Index Name"]}`].filter(Boolean).join(" ");
  const pages = (node["Shared Hit Blocks"] ?? 0) + (node["Shared Read Blocks"] ?? 0);
  // EXPLAIN shows rows and time as averages of one loop.
  const ran = node["Actual Loops"]
    ? [several(node["Actual Rows"], "row") + (node["Actual Loops"] > 1 ? ` × ${several(node["Actual Loops"], "loop")}` : ""),
      milliseconds((node["Actual Total Time"] ?? 0) * node["Actual Loops"]), several(pages, "page")].join(", ")
    : "never executed";
  const details = ["Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter", "Rows Removed by Filter", "Sort Key", "Group Key",
    "Subplans Removed"].filter((each) => node[each] != null)
    .map((each) => `${"  ".repeat(depth)}     ${each}: ${[node[each]].flat().join(", ")}`);
  return [`${"  ".repeat(depth)}→ ${node["Node Type"]}${on && ` on ${on}`}  (${ran})`, ...details,
    ...(node.Plans ?? []).flatMap((each) => drawPlan(each, depth + 1))];
}

// ---- Audit

const SECTIONS = ["preflight", "data_preparation", "snapshot", "migration", "validation", "pruning", "application", "lifecycle",
  "watch", "rollback", "decision", "roll_back_standing_run", "finalize", "maintenance"];
const KINDS = ["statement", "note", "phase", "backlog", "look"];
export const filters = { section: "", kind: "", text: "" };

async function audit(page) {
  const body = h("tbody");
  const more = h("button", { onclick: () => extend() }, "Older events");
  const result = h("p", { class: "muted", role: "status" });
  let last = null, all = 0, turn = 0;
  async function extend() {
    const mine = ++turn;
    more.disabled = true;
    try {
      const found = await page.askRun("events", { ...filters, before: last });
      if (mine !== turn) return;
      body.append(...found.map((each) => labelled(heads, event(each))));
      all += found.length;
      last = found.at(-1)?.event_id ?? last;
      more.hidden = found.length < 100;
      result.textContent = all ? `${several(all, "event")}, newest first${more.hidden ? "; no older ones" : ""}.`
        : "No event matches these filters.";
    } catch (error) {
      result.textContent = `${error.message}. ${error.remedy}`;
    }
    more.disabled = false;
  }
  const download = h("span");
  function again() {
    download.replaceChildren(leave(page.runFile("events.csv", filters), "Download as CSV"));
    body.replaceChildren();
    last = null;
    all = 0;
    return extend();
  }
  const choice = (name, label, values) => h("label", {}, `${label} `, h("select", { onchange: (change) => { filters[name] = change.target.value; again(); } },
    h("option", { value: "" }, "all"), values.map((each) => h("option", { value: each, selected: filters[name] === each }, each))));
  let pause;
  const text = h("label", {}, "Text ", h("input", { type: "search", value: filters.text, maxlength: 200, oninput: (change) => {
    filters.text = change.target.value;
    clearTimeout(pause);
    pause = setTimeout(again, 300);
  } }));
  const heads = ["When", "Section", "Kind", "Event", right("Rows"), right("Took"), "Log"];
  const listed = table("Audit trail", heads, []);
  listed.querySelector("tbody").replaceWith(body);
  await again();
  return { content: [h("div", { class: "bar-of-filters" }, choice("section", "Section", SECTIONS), choice("kind", "Kind", KINDS), text, download), result, listed, more] };
}

function event(each) {
  const { origin, ...detail } = each.detail;
  return h("tr", {}, cell(time(each.happened_at)), cell(each.section), cell(each.kind),
    h("td", { class: "long" }, each.message,
      each.statement && lazily("statement", () => h("pre", {}, each.statement)),
      Object.keys(detail).length > 0 && lazily("detail", () => h("pre", {}, JSON.stringify(detail, null, 2)))),
    number(each.rows == null ? "–" : count(each.rows)), number(milliseconds(each.duration_ms)),
    cell(origin ? taskLog(origin) : "–"));
}

function taskLog({ dag_id, run_id, task_id, map_index, try_number }) {
  const mapped = map_index >= 0 ? `/mapped/${map_index}` : "";
  const path = `dags/${encodeURIComponent(dag_id)}/runs/${encodeURIComponent(run_id)}/tasks/${encodeURIComponent(task_id)}${mapped}`;
  return leave(`${path}?try_number=${try_number}`, task_id.split(".").at(-1));
}

// ---- Runs

async function runs(page) {
  const heads = ["Started", "Mode", "Verdict", "Phase", right("Took"), right("Partitions"), right("Rows"), right("Size"), "By", "Compare", "Run"];
  if (!page.runs.length) return { content: empty("No run yet", "Trigger partition_migration for this table.") };
  let last = page.runs.at(-1);
  const more = h("button", { hidden: page.runs.length < 100, async onclick() {
    const found = await page.askTable("runs", { before: last.started_at });
    body.append(...found.map((each) => labelled(heads, past(page, each))));
    last = found.at(-1) ?? last;
    more.hidden = found.length < 100;
  } }, "Older runs");
  const listed = table(`Runs of ${page.chosen.table}`, heads, page.runs.map((each) => past(page, each)));
  const body = listed.querySelector("tbody");
  return { content: [...await beside(page), listed, more] };
}

const past = (page, each) => h("tr", { class: each.run_id === page.chosen.run && "chosen" },
  cell(link(moment(each.started_at), () => page.choose({ run: each.run_id, view: "run" }))),
  cell(each.mode), cell(badge(each.state)), cell(each.mode === "maintenance" ? "–" : badge(each.phase)),
  number(each.ended_at ? duration(seconds(each.started_at, each.ended_at)) : "–"),
  number(each.partitions ? count(each.partitions) : "–"), number(count(each.rows)), number(bytes(each.bytes)),
  cell(each.triggered_by ?? each.opened_by), cell(choice(page, each)), h("td", { class: "long mono" }, each.run_id));

// The chosen run is compared with one other run.
function choice(page, each) {
  if (each.run_id === page.chosen.run) return "chosen";
  if (each.mode === "maintenance") return "–";
  if (each.run_id === page.chosen.with) return link("stop", () => page.choose({ with: null }));
  return link("compare", () => page.choose({ with: each.run_id }));
}

async function beside(page) {
  const { run: one, with: other } = page.chosen;
  if (!one || !other || one === other) return [];
  const [left, after] = await Promise.all([one, other].map((each) => page.askTable("headlines", { run_id: each })));
  const others = new Map(after.map((each) => [each.name, each]));
  const names = [...new Set([...left, ...after].map((each) => each.name))];
  const mine = new Map(left.map((each) => [each.name, each]));
  const rows = names.map((name) => h("tr", {}, h("td", { class: "name" }, name), ...[mine, others].map((each) => number(written(each.get(name)))),
    number(difference(mine.get(name)?.value, others.get(name)?.value))));
  return [h("h2", {}, "Two runs side by side"), table(`${one} and ${other}`, ["Figure", right("Chosen run"), right("Other run"), right("Chosen over other")], rows)];
}

const written = (found) => (found?.value == null ? "–" : found.unit ? measured(found.value, found.unit) : count(found.value));
const difference = (mine, other) => (!other || mine == null ? "–" : percent(mine / other));

export const VIEWS = {
  tables: { title: "Tables", draw: tables },
  partitions: { title: "Partitions", draw: partitions },
  run: { title: "Run", draw: run, needsRun: true },
  gates: { title: "Gates", draw: gates, needsRun: true },
  plans: { title: "Plans", draw: plans, needsRun: true },
  audit: { title: "Audit trail", draw: audit, needsRun: true },
  runs: { title: "Past runs", draw: runs },
};
