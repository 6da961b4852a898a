// One function per view: it returns the content, and `live` if the view has to be refreshed.

import { line, partitionMap } from "./charts.js";
import {
  badge, bytes, cell, count, day, duration, empty, figure, figures, gain, h, labelled, leave, measured, milliseconds, moment, number,
  seconds, several, table, time,
} from "./dom.js";

const right = (name) => ({ name, class: "number" });
const link = (text, onclick) => h("button", { onclick }, text);
const ended = (run) => Boolean(run.ended_at);
const stopped = (run) => run.state === "failed" || run.state === "lost";
const atWork = (run) => !ended(run) && !stopped(run);

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
    cell(each.health?.full_at ? day(each.health.full_at) : "–"),
    cell(time(each.health?.checked_at)),
    cell(each.last_run ? [badge(each.last_run.state), " ", each.last_run.mode] : "none")));
  const heads = ["Table", "Health", "Problems", right("Size"), right("Per day"), right("Partitions"), right("Ahead"),
    right("In default"), "Disk full", "Checked", "Last run"];
  return { content: table("All table specs, with the state at the last partition_maintenance", heads, rows) };
}

// ---- Partitions

let measure = "bytes";

async function partitions(page) {
  const map = await page.askTable("partitions");
  return { content: drawMap(page, map) };
}

function drawMap(page, map) {
  const self = map.siblings.find((each) => each.role === "table");
  if (!self) return empty(`${map.table} does not exist`, "Correct the key `table` or `connection` in its spec.");
  const health = page.tables.find((each) => each.spec === page.chosen.table)?.health;
  return [overview(map, health), ...(map.partitions.length ? charted(page, map) : [...siblings(map), unpartitioned(self)])];
}

function overview(map, health) {
  const size = map.partitions.reduce((sum, each) => sum + (each.bytes ?? 0), 0);
  const rows = map.partitions.reduce((sum, each) => sum + each.estimated_rows, 0);
  const spare = map.partitions.find((each) => each.is_default);
  const now = Date.parse(map.now);
  const ahead = map.partitions.filter((each) => each.lower && Date.parse(each.lower) > now).length;
  return figures(
    figure("Health", health ? badge(health.status) : badge("never checked"), health?.problems.join(", ")),
    figure("Partitions", count(map.partitions.length), `${count(ahead)} ahead, one per ${map.interval}`),
    figure("Size", bytes(size), health?.bytes_per_day != null && `${bytes(health.bytes_per_day)} per day`),
    figure("Rows", `≈ ${count(rows)}`, "as last analyzed"),
    figure("Default partition", spare ? `≈ ${several(spare.estimated_rows, "row")}` : "none", spare && bytes(spare.bytes)),
    figure("Retention", map.keep ?? "none", map.cutoff && `before ${day(map.cutoff, map.timezone).slice(0, 10)}`));
}

function siblings(map) {
  const beside = map.siblings.filter((each) => each.role !== "table");
  const rows = [
    ...beside.map((each) => h("tr", {}, h("td", { class: "name" }, each.name), cell(badge(each.role)),
      number(bytes(each.bytes)), number(`≈ ${count(each.estimated_rows)}`), cell("–"))),
    ...map.detached.map((each) => h("tr", {}, h("td", { class: "name" }, each.name),
      cell(badge(each.archived ? "detached, archived" : each.kept ? "detached, kept" : "detached")),
      number("–"), number("–"), cell(time(each.since)))),
  ];
  return rows.length
    ? [table("Siblings and detached partitions", ["Name", "Role", right("Size"), right("Rows"), "Since"], rows)] : [];
}

const unpartitioned = (self) => empty("This table is not partitioned",
  `It has about ${several(self.estimated_rows, "row")}, ${bytes(self.bytes)}. Trigger partition_migration in mode plan: it changes nothing.`);

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
  const rows = map.partitions.map((each) => h("tr", { class: each.name === page.chosen.partition && "chosen" },
    h("td", { class: "name" }, each.name),
    h("td", { class: "date" }, each.is_default ? "default" : day(each.lower, map.timezone)),
    h("td", { class: "date" }, each.is_default ? "" : day(each.upper, map.timezone)),
    number(bytes(each.bytes)), number(`≈ ${count(each.estimated_rows)}`),
    cell(each.detach_pending && badge("detach pending", "warn"),
      map.cutoff && each.upper && Date.parse(each.upper) <= Date.parse(map.cutoff) && badge("past retention"),
      each.bytes == null && badge("locked", "warn"))));
  const heads = ["Partition", `From (${map.timezone})`, "To", right("Size"), right("Rows"), "State"];
  const listed = table(`${several(rows.length, "partition")}, newest last`, heads, rows);
  listed.classList.add("tall");
  return [toggle, place, ...siblings(map), listed];
}

// ---- Run

const samples = new Map(); // by run: the number of waiting changes, sampled since the page was opened

async function run(page) {
  const [now, taken, past] = await Promise.all([
    page.askRun("progress"), page.askRun("measurements"), samples.has(page.chosen.run) ? [] : page.askRun("backlog"),
  ]);
  const seen = samples.get(page.chosen.run) ?? past.map((each) => ({ at: each.happened_at, value: each.waiting }));
  const live = atWork(now.run);
  if (live && now.waiting_changes != null) seen.push({ at: now.now, value: now.waiting_changes });
  samples.set(page.chosen.run, seen.slice(-2000));
  const open = scrolled();
  const content = [summary(now, live), ...stop(now), ...wayBack(now), ...waits(now, live), ...loads(now, page.chosen.partition), ...waiting(now, seen, live), ...locks(now),
    ...measurements(taken)];
  requestAnimationFrame(() => restore(open));
  return { content, live };
}

// Keep the scroll positions over a refresh.
const scrolled = () => [...document.querySelectorAll("#view .scroll")].map((each) => [each.scrollTop, each.scrollLeft]);
const restore = (places) => document.querySelectorAll("#view .scroll").forEach((each, index) => {
  if (places[index]) [each.scrollTop, each.scrollLeft] = places[index];
});

const done = (load) => load.rows ?? load.rows_so_far ?? 0;

function pace(now) {
  const begun = now.loads.filter((each) => each.started_at);
  if (!begun.length) return {};
  const first = Math.min(...begun.map((each) => Date.parse(each.started_at)));
  const over = now.loads.every((each) => each.ended_at);
  const last = over ? Math.max(...now.loads.map((each) => Date.parse(each.ended_at))) : Date.parse(now.now);
  const rows = now.loads.reduce((sum, each) => sum + done(each), 0);
  const total = now.loads.reduce((sum, each) => sum + (each.rows ?? Math.max(each.expected_rows, done(each))), 0);
  const rate = rows / Math.max((last - first) / 1000, 0.001);
  return { rows, rate, left: over ? 0 : (total - rows) / Math.max(rate, 0.001) };
}

function summary(now, live) {
  const { rate, left, rows } = pace(now);
  const { run } = now;
  return figures(
    figure("Verdict", badge(run.state), [`mode ${run.mode}`, ...now.waived].join("; ")),
    figure("Phase", badge(run.phase), run.plan_hash ? leave(`partition_playbook/plan?run_id=${encodeURIComponent(run.run_id)}`, "plan.sql") : "no plan yet"),
    figure("Started", h("small", {}, time(run.started_at)),
      `by ${run.opened_by}, with version ${now.versions.join(", ") || "before 0.2.0"}`),
    figure("Took", duration(seconds(run.started_at, run.ended_at ?? (live ? now.now : run.state_since ?? now.now))), live && "so far"),
    figure("Rows loaded", count(rows), rate && measured(rate, "rows/s")),
    figure("Loads left", left ? duration(left) : left === 0 ? "none" : "–", left ? "at this rate" : null),
    figure("Changes waiting", now.waiting_changes == null ? "no capture"
      : now.waiting_changes >= now.most_counted ? `over ${count(now.most_counted)}` : count(now.waiting_changes)));
}

// Where and since when a run has failed, or asks a person, and what to do.
function stop({ run, failure }) {
  if (!run.next_step && !run.state_in) return [];
  const where = run.state_in ? [" in ", h("span", { class: "mono" }, run.state_in)] : [];
  const since = run.state_since ? [", since ", time(run.state_since)] : [];
  return [h("p", { class: "note" }, h("strong", {}, run.state), ...where, ...since, ". ", failure && `${failure}. `, run.next_step)];
}

// What a rollback would take, as partition_standby saw it.
function wayBack({ way_back: back }) {
  if (!back) return [];
  const told = [...back.sentences.map((each) => `${each}.`)].join(" ");
  return [h("p", { class: back.state === "in step" ? "" : "note" }, h("strong", {}, "Way back: "), badge(back.state, back.state === "in step" ? "good" : "bad"), " ", told,
    h("span", { class: "muted" }, " Seen ", time(back.looked_at)))];
}

// The reason for not starting a load or a vacuum: a pause by a person, or the throttle.
function waits(now, live) {
  if (!live) return [];
  return now.waits.map((each) => h("p", { class: "note" }, h("strong", {}, each.partition || each.task), " waits: ", each.why, ", since ", time(each.since)));
}

function loads(now, chosen) {
  if (!now.loads.length) return [];
  const held = new Set(now.waits.map((each) => each.partition));
  const rows = now.loads.map((each) => h("tr", { class: each.name === chosen && "chosen" },
    h("td", { class: "name" }, each.name),
    cell(badge(each.state === "pending" && held.has(each.name) ? "waiting" : each.state)),
    cell(h("progress", { max: Math.max(each.expected_rows, done(each), 1), "aria-label": `${each.name}: rows loaded`,
      value: each.ended_at ? Math.max(each.expected_rows, done(each), 1) : done(each) })),
    number(`${each.rows == null && each.rows_so_far != null ? "≈ " : ""}${each.started_at ? count(done(each)) : "–"}`),
    number(count(each.expected_rows)),
    number(bytes(each.bytes)),
    number(each.started_at ? duration(seconds(each.started_at, each.ended_at ?? now.now)) : "–"),
    number(each.ended_at ? count(each.rows / Math.max(seconds(each.started_at, each.ended_at), 0.001)) : "–")));
  const heads = ["Partition", "State", "Progress", right("Rows"), right("Expected"), right("Size"), right("Took"), right("Rows/s")];
  const listed = table(`${count(now.loads.filter((each) => each.ended_at).length)} of ${several(now.loads.length, "partition")} loaded`, heads, rows);
  listed.classList.add("tall");
  return [h("h2", {}, "Loads"), listed];
}

function waiting(now, seen, live) {
  if (seen.length < 2) return [];
  const place = h("div", { class: "chart" });
  line(place, `Waiting changes from ${moment(seen[0].at)} to ${moment(seen.at(-1).at)}, at most ${count(Math.max(...seen.map((each) => each.value)))}`, seen);
  return [h("h2", {}, "Waiting changes in the change log"), place,
    h("p", { class: "muted" }, live ? "Sampled by the reconciler, and by this page since it was opened." : "Sampled by the reconciler after each batch.")];
}

function locks(now) {
  if (!now.lock_waits.length) return ended(now.run) ? [] : [h("p", { class: "muted" }, "No session waits for a lock on the table.")];
  const rows = now.lock_waits.map((each) => h("tr", {}, number(each.pid), cell(each.application || each.role),
    cell(each.table), cell(each.mode), number(duration(each.seconds)), cell(each.blocked_by.join(", ")),
    h("td", { class: "long mono" }, each.query)));
  const heads = [right("pid"), "Application", "Table", "Lock mode", right("Waiting"), "Blocked by pid", "Statement"];
  return [h("h2", {}, "Lock waits"), table(`${several(rows.length, "session")} waiting for a lock`, heads, rows)];
}

function measurements(taken) {
  const rows = taken.filter((each) => each.value != null).reverse().map((each) => h("tr", {}, cell(each.stage), h("td", { class: "name" }, each.name),
    number(measured(each.value, each.unit)),
    cell(time(each.taken_at))));
  if (!rows.length) return [];
  const listed = table("Measurements, newest first", ["Stage", "Name", right("Value"), "Taken at"], rows);
  listed.classList.add("tall");
  return [h("h2", {}, "Measurements"), listed];
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

function compared({ query, before, after }) {
  return h("details", { class: "section", open: true },
    h("summary", {}, h("h2", {}, query), changed(before?.ms, after?.ms, "faster", "slower", "as fast as before"),
      changed(before?.buffers, after?.buffers, "fewer pages", "more pages", "as many pages as before")),
    h("div", { class: "side-by-side" }, side("Before", query, before), side("After", query, after)));
}

// The difference only; the checks of the section pruning judge it.
function changed(before, after, less, more, same) {
  if (!before || after == null) return null;
  return badge(gain(1 - after / before, less, more, same), "quiet");
}

function side(title, query, timed) {
  if (!timed) return h("div", {}, h("h3", {}, title), h("p", { class: "muted" }, "not measured"));
  return h("div", {}, h("h3", {}, title),
    h("p", {}, `${milliseconds(timed.ms)}, including ${milliseconds(timed.planning_ms)} for planning; ${several(timed.buffers, "page")}`),
    timed.plan && h("pre", { class: "plan", tabindex: 0, role: "region", "aria-label": `${title}: plan of ${query}` }, drawPlan(timed.plan).join("\n")));
}

function drawPlan(node, depth = 0) {
  const on = [node["Relation Name"], node["Index Name"] && `using ${node["Index Name"]}`].filter(Boolean).join(" ");
  const pages = (node["Shared Hit Blocks"] ?? 0) + (node["Shared Read Blocks"] ?? 0);
  // EXPLAIN shows rows and time as averages of one loop.
  const ran = node["Actual Loops"]
    ? [several(node["Actual Rows"], "row") + (node["Actual Loops"] > 1 ? ` × ${several(node["Actual Loops"], "loop")}` : ""),
      milliseconds((node["Actual Total Time"] ?? 0) * node["Actual Loops"]), several(pages, "page")].join(", ")
    : "never executed";
  const details = ["Index Cond", "Recheck Cond", "Filter", "Sort Key", "Subplans Removed"].filter((each) => node[each] != null)
    .map((each) => `${"  ".repeat(depth)}     ${each}: ${[node[each]].flat().join(", ")}`);
  return [`${"  ".repeat(depth)}→ ${node["Node Type"]}${on && ` on ${on}`}  (${ran})`, ...details,
    ...(node.Plans ?? []).flatMap((each) => drawPlan(each, depth + 1))];
}

// ---- Audit

const SECTIONS = ["preflight", "data_preparation", "snapshot", "migration", "validation", "pruning", "application", "lifecycle",
  "watch", "rollback", "decision", "roll_back_standing_run", "finalize", "maintenance"];
const KINDS = ["statement", "note", "backlog", "look"];
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
  function again() {
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
  await extend();
  return { content: [h("div", { class: "bar-of-filters" }, choice("section", "Section", SECTIONS), choice("kind", "Kind", KINDS), text), result, listed, more] };
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
  const heads = ["Started", "Mode", "Verdict", "Phase", right("Took"), right("Partitions"), right("Rows"), right("Size"), "By", "Run"];
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
  return { content: [listed, more] };
}

const past = (page, each) => h("tr", { class: each.run_id === page.chosen.run && "chosen" },
  cell(link(moment(each.started_at), () => page.choose({ run: each.run_id, view: "run" }))),
  cell(each.mode), cell(badge(each.state)), cell(each.mode === "maintenance" ? "–" : badge(each.phase)),
  number(each.ended_at ? duration(seconds(each.started_at, each.ended_at)) : "–"),
  number(each.partitions ? count(each.partitions) : "–"), number(count(each.rows)), number(bytes(each.bytes)),
  cell(each.opened_by), h("td", { class: "name mono" }, each.run_id));

export const VIEWS = {
  tables: { title: "Tables", draw: tables },
  partitions: { title: "Partitions", draw: partitions },
  run: { title: "Run", draw: run, needsRun: true },
  gates: { title: "Gates", draw: gates, needsRun: true },
  plans: { title: "Plans", draw: plans, needsRun: true },
  audit: { title: "Audit trail", draw: audit, needsRun: true },
  runs: { title: "Past runs", draw: runs },
};
