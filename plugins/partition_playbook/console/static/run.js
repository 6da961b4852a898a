// The view of one run: its state and questions, its sections, its loads, and the sessions in its way.

import { line } from "./charts.js";
import {
  badge, bytes, cell, copyable, count, duration, figure, figures, folding, h, leave, measured, moment, number, right, seconds, several, table, time,
} from "./dom.js";

const ended = (run) => Boolean(run.ended_at);
const stopped = (run) => run.state === "failed" || run.state === "lost";
const atWork = (run) => !ended(run) && !stopped(run);

const MOST_LOADS = 12; // shown before the table is unfolded
const samples = new Map(); // by run: the samples of the ledger, each asked for once

async function backlog(page) {
  const { run } = page.chosen;
  const known = samples.get(run) ?? [];
  const found = await page.askRun("backlog", { after: known.at(-1)?.event_id });
  samples.set(run, [...known, ...found]);
  return samples.get(run);
}

export async function run(page) {
  const [now, taken, waited] = await Promise.all([page.askRun("progress"), page.askRun("measurements"), backlog(page)]);
  const live = atWork(now.run);
  const server = ended(now.run) ? null : await page.askRun("server");
  const open = scrolled();
  const content = [...asks(now), summary(now, live), changes(now), headlines(now.headlines), stepper(page, now), ...stop(now), ...works(now, live), ...wayBack(now), ...waits(now, live),
    ...loads(now, page.chosen.partition), ...charts(now, waited, live), ...state(page, server), ...blockers(server), ...locks(now), ...measurements(taken)];
  requestAnimationFrame(() => restore(open));
  return { content, live };
}

// Keep the scroll positions over a refresh.
const scrolled = () => [...document.querySelectorAll("#view .scroll")].map((each) => [each.scrollTop, each.scrollLeft]);
const restore = (places) => document.querySelectorAll("#view .scroll").forEach((each, index) => {
  if (places[index]) [each.scrollTop, each.scrollLeft] = places[index];
});

const done = (load) => load.rows ?? load.rows_so_far ?? 0;

// The questions of the run, each with a link to the page where a person answers it.
function asks({ questions }) {
  return questions.map((each) => h("p", { class: "note" }, h("strong", {}, "Waits for: "), each.subject, " → ",
    leave(each.path, "answer", `answer-${each.task_id}`), h("span", { class: "muted" }, " Asked ", time(each.since))));
}

const file = (kind, run, text) => leave(`partition_playbook/${kind}?run_id=${encodeURIComponent(run.run_id)}`, text);

function summary(now, live) {
  const { run, eta } = now;
  const rows = now.loads.reduce((sum, each) => sum + done(each), 0);
  const over = now.loads.length > 0 && now.loads.every((each) => each.ended_at);
  const by = run.triggered_by ? `by ${run.triggered_by}, as role ${run.opened_by}` : `by role ${run.opened_by}`;
  const links = [leave(now.dag_run, "DAG run"), now.has_plan && file("plan", run, "plan.sql"), now.has_report && file("report", run, "report")];
  return figures(
    figure("Verdict", badge(run.state), [`mode ${run.mode}`, ...now.waived].join("; ")),
    figure("Phase", badge(run.phase), links.filter(Boolean).flatMap((each, index) => (index ? [", ", each] : [each]))),
    figure("Started", h("small", {}, time(run.started_at)), `${by}, with version ${now.versions.join(", ") || "before 0.2.0"}`),
    figure("Took", duration(seconds(run.started_at, run.ended_at ?? (live ? now.now : run.state_since ?? now.now))), live && "so far"),
    figure("Rows loaded", count(rows), now.loads.length > 0 && `of ${several(now.loads.length, "partition")}`),
    figure("Loads end", eta ? `in ${duration(eta.seconds)}` : over ? "ended" : "–", eta && ["about ", time(eta.at)]),
    !now.pace && waiting(now));
}

const waiting = (now) => figure("Changes waiting", now.waiting_changes == null ? "no capture"
  : now.waiting_changes >= now.most_counted ? `over ${count(now.most_counted)}` : count(now.waiting_changes));

const RATINGS = { "keeps up": "good", "falls behind": "bad" };
const VERDICTS = { "keeps up": "the backlog does not grow", "falls behind": "the cutover gives up while this lasts", unknown: "a rate is missing" };

// The rate of the application beside the one that reconcile follows.
function changes(now) {
  const { pace } = now;
  if (!pace) return null;
  return figures(waiting(now),
    figure("Changes written", pace.written == null ? "–" : `${count(pace.written)}/s`,
      pace.over == null ? "known after the next sample of the change log" : `over the last ${duration(pace.over)}`),
    figure("Reconcile follows", pace.followed == null ? "–" : `${count(pace.followed)}/s`, pace.source),
    figure("Reconcile", badge(pace.verdict, RATINGS[pace.verdict]), VERDICTS[pace.verdict]));
}

const titled = (name) => name[0].toUpperCase() + name.slice(1);

// The figures that a DBA looks for first; none before one of them was measured.
const headlines = (found) => found.some((each) => each.value != null) && figures(found.map((each) =>
  figure(titled(each.name), each.value == null ? "–" : measured(each.value, each.unit), each.note)));

// The sections in their order; each leads to its checks.
function stepper(page, { steps }) {
  if (!steps.length) return null;
  return h("ol", { class: "steps", "aria-label": "Sections of the run" }, steps.map((each) => h("li", { class: each.state.replaceAll(" ", "-") },
    h("button", { id: `step-${each.section}`, onclick: () => page.choose({ view: "gates" }) }, each.section.replaceAll("_", " ")),
    badge(each.state),
    h("small", {}, each.seconds == null ? "" : duration(each.seconds),
      each.waited >= 1 ? ` + ${duration(each.waited)} for an answer` : ""))));
}

// Where and since when a run has failed, and what to do.
function stop({ run, failure, questions }) {
  if (questions.length || (!run.next_step && !run.state_in)) return [];
  const where = run.state_in ? [" in ", h("span", { class: "mono" }, run.state_in)] : [];
  const since = run.state_since ? [", since ", time(run.state_since)] : [];
  return [h("p", { class: "note" }, h("strong", {}, run.state), ...where, ...since, ". ", failure && `${failure}. `, run.next_step)];
}

// The tasks at work, the first of them in full.
function works({ working }, live) {
  if (!live || !working.length) return [];
  const named = working.slice(0, 3).map((each) => [h("span", { class: "mono" }, each.task_id),
    each.count > 1 ? ` × ${count(each.count)}` : "", ` ${TOLD[each.state] ?? each.state}`, each.since && [" since ", time(each.since)]]);
  const more = working.length > 3 ? `, and ${several(working.length - 3, "more task")}` : "";
  return [h("p", {}, h("strong", {}, "At work: "), named.flatMap((each, index) => (index ? [", ", ...each] : each)), more)];
}

const TOLD = { deferred: "waits in the triggerer", queued: "waits for a worker", scheduled: "waits for its turn" };

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

const took = (load, now) => (load.started_at ? seconds(load.started_at, load.ended_at ?? now.now) : -1);

// At work first, then the slowest; last those that have not begun, in the order of time.
function inOrder(now) {
  const rank = (load) => (load.state === "loading" ? 0 : load.started_at ? 1 : 2);
  return [...now.loads].sort((one, other) => rank(one) - rank(other) || took(other, now) - took(one, now));
}

// The rows of a load at work; after the last load the time of each beside the slowest.
function bar(load, now, slowest) {
  if (slowest) return h("progress", { max: slowest, value: took(load, now), "aria-label": `${load.name}: time beside the slowest` });
  const most = Math.max(load.expected_rows, done(load), 1);
  return h("progress", { max: most, value: load.ended_at ? most : done(load), "aria-label": `${load.name}: rows loaded` });
}

function loads(now, chosen) {
  if (!now.loads.length) return [];
  const held = new Set(now.waits.map((each) => each.partition));
  const ended = now.loads.filter((each) => each.ended_at).length;
  const slowest = ended === now.loads.length ? Math.max(...now.loads.map((each) => took(each, now)), 0.001) : 0;
  const rows = inOrder(now).map((each) => h("tr", { class: each.name === chosen && "chosen" },
    h("td", { class: "name" }, each.name),
    cell(badge(each.state === "pending" && held.has(each.name) ? "waiting" : each.state)),
    cell(bar(each, now, slowest)),
    number(each.started_at ? duration(took(each, now)) : "–"),
    number(`${each.rows == null && each.rows_so_far != null ? "≈ " : ""}${each.started_at ? count(done(each)) : "–"}`),
    number(count(each.expected_rows)),
    number(bytes(each.bytes)),
    number(each.ended_at ? count(each.rows / Math.max(seconds(each.started_at, each.ended_at), 0.001)) : "–")));
  const heads = ["Partition", "State", slowest ? "Beside the slowest" : "Progress", right("Took"), right("Rows"), right("Expected"), right("Size"), right("Rows/s")];
  const caption = `${count(ended)} of ${several(now.loads.length, "partition")} loaded`;
  return [h("h2", {}, "Loads"), h("p", { class: "muted" }, now.eta && `Estimate: ${now.eta.method}. `,
    slowest ? "Slowest first." : "At work first, then the slowest."),
    ...folding(caption, heads, rows, MOST_LOADS)];
}

// Rows per second and waiting changes over time, from the ledger: the same after every reload.
function charts(now, waited, live) {
  const rates = now.throughput.map((each) => ({ at: each.happened_at, value: each.rows_per_second }));
  const changes = waited.flatMap((each) => [each.before, each.waiting].map((value) =>
    ({ at: each.happened_at, value, about: each.estimated })));
  if (live && now.waiting_changes != null) changes.push({ at: now.now, value: now.waiting_changes });
  return [
    ...charted("Rows loaded per second", rates, "Each load's rows are spread evenly over its time."),
    ...charted("Waiting changes in the change log", changes, "Sampled at the end of each load, and before and after each batch of the reconciler."),
  ];
}

function charted(title, points, method) {
  if (points.length < 2) return [];
  const place = h("div", { class: "chart" });
  const highest = points.reduce((most, each) => (each.value > most.value ? each : most));
  const most = `${highest.about ? "about " : ""}${count(highest.value)}`;
  line(place, `${title} from ${moment(points[0].at)} to ${moment(points.at(-1).at)}, at most ${most}`, points);
  const estimated = highest.about && highest.value ? ` The highest is ${most}: a large number is an estimate.` : "";
  return [h("h2", {}, title), place, h("p", { class: "muted" }, method + estimated)];
}

let last = null; // the WAL position that was seen before, to find the rate

function walRate(page, server) {
  const seen = { run: page.chosen.run, at: server.now, bytes: server.wal_bytes };
  const before = last?.run === seen.run ? last : null;
  last = seen;
  if (seen.bytes == null) return ["–", "the role or the server does not tell"];
  if (before?.bytes == null || seconds(before.at, seen.at) <= 0) return ["…", "after the next look"];
  return [`${bytes((seen.bytes - before.bytes) / seconds(before.at, seen.at))}/s`, `in the last ${duration(seconds(before.at, seen.at))}`];
}

const shown = (value, unit) => (unit ? measured(value, unit) : count(value));

// The limits of the throttle, WAL and disk, as far as the role may see them.
function state(page, server) {
  if (!server) return [];
  const limits = server.limits.map((each) => figure(titled(each.name),
    each.value == null ? (each.unknown ? "–" : "none") : shown(each.value, each.unit),
    each.unknown || (each.limit == null ? "no limit" : `limit ${shown(each.limit, each.unit)}`)));
  const [rate, since] = walRate(page, server);
  return [h("h2", {}, "Server"),
    figures(
      figure("Throttle", server.over.length ? badge("holds back", "warn") : badge("calm", "good"), server.over.join("; ") || "no limit is exceeded"),
      limits,
      figure("WAL written", rate, since),
      server.safe_wal_bytes != null && figure("WAL until a slot is lost", bytes(server.safe_wal_bytes)),
      figure("Disk free", bytes(server.free_bytes), server.free_unknown || "data directory"))];
}

// The sessions that keep others from the table, or would keep a swap from it, each with the statement that ends it.
function blockers(server) {
  if (!server?.blockers.length) return [];
  const rows = server.blockers.map((each) => h("tr", {}, number(each.pid || "none"),
    cell(each.is_ours ? "Partition Playbook" : [each.role, each.application].filter(Boolean).join(", ") || "–"),
    cell(each.client ?? "–"), cell(each.state ?? "–"), cell(time(each.since)), number(duration(each.seconds)),
    number(each.blocks ? several(each.blocks, "session") : "none yet"),
    h("td", { class: "long mono" }, each.query),
    h("td", { class: "long" }, each.statement ? copyable(each.statement, `cancel-${each.pid}`) : "it ends by itself")));
  const heads = [right("pid"), "Session", "Client", "State", "Transaction since", right("Open for"), right("Blocks"), "Statement", "To end it"];
  return [h("h2", {}, "Sessions with locks on the table"),
    table(`${several(rows.length, "session")} that others wait for, or a swap would wait for`, heads, rows)];
}

function locks(now) {
  if (!now.lock_waits.length) return ended(now.run) ? [] : [h("p", { class: "muted" }, "No session waits for a lock on the table.")];
  const rows = now.lock_waits.map((each) => h("tr", {}, number(each.pid), cell([each.role, each.application].filter(Boolean).join(", ") || "–"),
    cell(each.client ?? "–"), cell(each.table), cell(each.mode), number(duration(each.seconds)), cell(each.blocked_by.map((pid) => pid || "a prepared transaction").join(", ")),
    h("td", { class: "long mono" }, each.query)));
  const heads = [right("pid"), "Session", "Client", "Table", "Lock mode", right("Waiting"), "Blocked by pid", "Statement"];
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

