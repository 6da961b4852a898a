// The page: its table, run and view are in the address, so a reload or a shared link shows the same.

import { empty, h, moment } from "./dom.js";
import { filters, VIEWS } from "./views.js";

const REFRESH_MS = 3_000;
const place = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const chosen = { table: asked.get("table"), run: asked.get("run"), view: asked.get("view"), partition: asked.get("partition"), with: asked.get("with") };
let tables = [];
let shown = 0; // the number of choices so far: an answer to an earlier choice is not drawn
let timer;

class Unanswered extends Error {
  constructor({ problem, remedy, detail }, status) {
    super(problem ?? (typeof detail === "string" ? detail : `Status ${status}`));
    this.remedy = status === 401 ? "Log in to Airflow again" : remedy ?? "";
  }
}

async function ask(path, values = {}) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = given.length ? `?${new URLSearchParams(given)}` : "";
  const answer = await fetch(`api/${path}${query}`, { headers: { Accept: "application/json" } });
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Unanswered(content, answer.status);
  return content;
}

const askTable = (name, values) => ask(`tables/${encodeURIComponent(chosen.table)}/${name}`, values);
const askRun = (name, values = {}) => askTable(name, { run_id: chosen.run, ...values });
// The address of a file of the run, below Airflow's own.
const runFile = (name, values = {}) => `partition_playbook/api/tables/${encodeURIComponent(chosen.table)}/${name}?${
  new URLSearchParams(Object.entries({ run_id: chosen.run, ...values }).filter(([, value]) => value))}`;

function choose(change) {
  if (change.table && change.table !== chosen.table) chosen.run = chosen.partition = chosen.with = null;
  Object.assign(chosen, change);
  start();
}

function address() {
  const known = Object.entries(chosen).filter(([, value]) => value);
  history.replaceState(null, "", `?${new URLSearchParams(known)}`);
}

function drawTabs() {
  const names = Object.keys(VIEWS);
  const tab = (name, index) => h("button", {
    role: "tab", id: `tab-${name}`, "aria-selected": String(name === chosen.view), "aria-controls": "view",
    tabindex: name === chosen.view ? 0 : -1,
    onclick: () => choose({ view: name }),
    onkeydown(event) {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      choose({ view: names[(index + step + names.length) % names.length] });
      place(`tab-${chosen.view}`).focus();
    },
  }, VIEWS[name].title);
  place("tabs").replaceChildren(...names.map(tab));
  place("view").setAttribute("aria-labelledby", `tab-${chosen.view}`);
  place(`tab-${chosen.view}`).scrollIntoView({ block: "nearest", inline: "nearest" });
}

function drawPickers(runs) {
  place("table").replaceChildren(...tables.map((each) =>
    h("option", { value: each.spec, selected: each.spec === chosen.table }, each.spec)));
  const known = runs.some((each) => each.run_id === chosen.run);
  const options = runs.map((each) => h("option", { value: each.run_id, selected: each.run_id === chosen.run },
    `${moment(each.started_at)} · ${each.mode} · ${each.state}`));
  if (chosen.run && !known) options.unshift(h("option", { value: chosen.run, selected: true }, chosen.run));
  place("run").replaceChildren(...(options.length ? options : [h("option", { value: "" }, "none yet")]));
  place("run").disabled = !options.length;
}

const sorry = (error) => empty(error.message, error.remedy || "See the log of Airflow's API server.");

// Draw the view, and refresh it while it is live.
async function start() {
  const mine = ++shown;
  clearTimeout(timer);
  address();
  drawTabs();
  try {
    const runs = chosen.table ? await askTable("runs") : [];
    if (mine !== shown) return;
    chosen.run ??= (runs.find((each) => each.mode !== "maintenance") ?? runs[0])?.run_id ?? null;
    drawPickers(runs);
    await draw(mine, { runs });
    place("view").querySelector("tr.chosen")?.scrollIntoView({ block: "nearest" });
  } catch (error) {
    if (mine === shown) {
      drawPickers([]);
      place("view").replaceChildren(sorry(error));
    }
  }
}

async function draw(mine, known) {
  const view = VIEWS[chosen.view];
  if (view.needsRun && !chosen.run) {
    place("view").replaceChildren(empty("No run yet",
      "Trigger partition_migration for this table. Mode plan changes nothing and shows every statement."));
    return;
  }
  const { content, live } = await view.draw({ ...known, tables, chosen, ask, askTable, askRun, runFile, choose });
  if (mine !== shown) return;
  if (content) show([content].flat(Infinity).filter(Boolean));
  place("status").textContent = live ? `Live, as of ${moment(new Date().toISOString())}` : "";
  if (live) timer = setTimeout(() => watch(mine, known), REFRESH_MS);
}

// Draw the content, and leave the focus where it was: a view at work is drawn again every few seconds.
function show(content) {
  const focused = place("view").contains(document.activeElement) ? document.activeElement.id : "";
  place("view").replaceChildren(...content);
  if (focused) place(focused)?.focus({ preventScroll: true });
}

async function watch(mine, known) {
  // A selected text would be gone: it may be about to be copied.
  if (document.hidden || !getSelection().isCollapsed) {
    timer = setTimeout(() => watch(mine, known), REFRESH_MS);
    return;
  }
  try {
    await draw(mine, known);
  } catch (error) {
    if (mine !== shown) return;
    place("status").textContent = `${error.message}. Retrying`;
    timer = setTimeout(() => watch(mine, known), 2 * REFRESH_MS);
  }
}

const OURS = ["partition_migration", "partition_maintenance", "partition_rollback", "partition_finalize"];

// Every DAG has the tab: on a DAG of the playbook it shows a table, on its DAG runs the run.
async function arrive() {
  const dag = asked.get("dag_id"), run = asked.get("run_id");
  if (!dag) return null;
  if (!OURS.includes(dag)) return empty("This DAG is not part of Partition Playbook", "Open Browse, Partitions for all tables.");
  if (!run) {
    chosen.view ??= dag === "partition_maintenance" ? "tables" : "run";
    return null;
  }
  const [found] = await ask("find", { run_id: run, dag_id: dag });
  if (!found) {
    setTimeout(main, REFRESH_MS);
    return empty("The ledger has no entry of this run yet",
      "The run has not started its preflight, or found no migration to roll back or to finalize.");
  }
  if (found.section) filters.section = found.section;
  Object.assign(chosen, { table: found.spec, run: found.run_id, view: chosen.view ?? (found.section ? "audit" : "run") });
  return null;
}

async function main() {
  try {
    tables = await ask("tables");
    const nothing = await arrive();
    if (nothing) {
      place("view").replaceChildren(nothing);
      return;
    }
    chosen.table ??= tables[0]?.spec ?? null;
    chosen.view = chosen.view in VIEWS ? chosen.view : "tables";
    await start();
  } catch (error) {
    place("view").replaceChildren(sorry(error));
  }
}

place("table").addEventListener("change", (event) => choose({ table: event.target.value }));
place("run").addEventListener("change", (event) =>
  choose({ run: event.target.value, view: VIEWS[chosen.view].needsRun ? chosen.view : "run" }));
main();
