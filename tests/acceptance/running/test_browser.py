"""A person sees and does all in a browser, from the trigger form to the way back; a stranger sees nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, unquote, urlencode

import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, FrameLocator, Locator, Page, expect
from psycopg import sql

from partition_playbook.names import TableName
from staging.browser import chromium, sign_in
from staging.environment import create_schema
from staging.instance import Instance
from staging.rest import AirflowClient, TaskInstance
from tests.fixtures import footprint, sabotage
from tests.fixtures.running_airflow import APPROVAL, MIGRATION, SECOND_APPROVAL, SIGN_OFF, Migration, Server

CONSOLE = "/partition_playbook/"
VIEWS = ("tables", "partitions", "run", "gates", "plans", "audit", "runs")
PHONE = {"width": 390, "height": 844}
TABLE = TableName("public", "sensor_readings")
LOAD = "migration.load_partition"
AT_WORK = f"""
SELECT count(*) FROM pg_stat_activity
 WHERE application_name = 'partition_playbook {LOAD}' AND state = 'active'
   AND starts_with(query, 'UPDATE partition_playbook.loads')
"""
LOADING = "SELECT count(*) FROM partition_playbook.loads WHERE state = 'loading'"
GATE = "go_no_go_pruning"
REASON = "It was never slow"
ALL_LOADED = re.compile(r"^(\d+) of \1 partitions loaded$")
SIDEWAYS = """
[...document.querySelectorAll(".scroll, td")]
    .filter((each) => each.scrollWidth > each.clientWidth)
    .map((each) => each.innerText)
"""
BUSY_MS = 240_000  # what takes Airflow's workers so long at most, on a busy machine
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def dsn(server: Server, server_dsn: str) -> Iterator[str]:
    """Return the database that this Airflow's connection names, one for all tests here, without a row."""
    name = sql.Identifier(server.name("staging"))
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    create_schema(server.conninfo())
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        sabotage.make_ledger(connection)
    yield server.conninfo()
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture(scope="module")
def session(browser: Browser, client: AirflowClient, airflow: Instance, dsn: str) -> Page:
    """Return somebody logged in, when Airflow knows the DAGs."""
    return sign_in(browser, airflow)


@pytest.fixture
def errors() -> list[str]:
    """Return what the browser's console says of errors; none may be left at the end."""
    return []


@pytest.fixture
def page(session: Page, errors: list[str]) -> Iterator[Page]:
    """Return a page of somebody logged in."""
    page = session.context.new_page()
    page.set_default_timeout(BUSY_MS)
    listen(page, errors)
    yield page
    page.close()
    assert errors == []


def listen(page: Page, errors: list[str]) -> None:
    def told(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(f"{message.text} ({message.location['url']})")

    page.on("console", told)
    page.on("pageerror", lambda error: errors.append(str(error)))


# ---- What a person does


def open_form(page: Page, dag_id: str) -> Locator:
    page.goto(f"/dags/{dag_id}")
    page.get_by_role("button", name="Trigger").click()
    return page.get_by_role("dialog")


def choose(dialog: Locator, name: str, value: str) -> None:
    dialog.get_by_role("combobox", name=name, exact=True).click()
    dialog.page.get_by_role("option", name=value, exact=True).click()


def unfold(dialog: Locator, section: str) -> None:
    """Open a section of the form; Airflow 3.4 has a heading in the place of the button, and the section is open."""
    button = dialog.get_by_role("button", name=section)
    button.or_(dialog.get_by_role("heading", name=section, exact=True)).first.wait_for()
    if button.count():
        button.click()


def press_trigger(dialog: Locator) -> None:
    dialog.get_by_role("button", name="Trigger").click()


def rehearse(page: Page) -> str:
    """Fill in the form for a rehearsal that no query can please, trigger it, and return the run's id."""
    dialog = open_form(page, MIGRATION)
    choose(dialog, "Mode", "rehearse")
    choose(dialog, "Approvals", "required")
    dialog.get_by_role("checkbox", name="Accept weaker uniqueness").press("Space")
    unfold(dialog, "Backup")
    choose(dialog, "Backup", "skip")
    unfold(dialog, "Rehearsals only")
    dialog.get_by_label("Synthetic rows").fill("20000")
    unfold(dialog, "Criteria and report")
    dialog.get_by_label("Least speedup").fill("0.999999")
    press_trigger(dialog)
    page.wait_for_url("**/runs/*")
    return unquote(page.url.rpartition("/")[2])


def answer(page: Page, run: Migration, task_id: str, chosen: str, reason: str = "") -> None:
    """Answer a question on its page."""

    def respond(task: TaskInstance) -> None:
        run.client.read_question(MIGRATION, run.run_id, task)
        page.goto(f"{run_path(run)}/tasks/{task_id}/required_actions")
        if reason:
            page.locator("[name=element_reason]").fill(reason)  # Airflow's label names another field
        page.get_by_role("button", name=chosen, exact=True).click()
        expect(page.get_by_text("response successful")).to_be_visible()

    run.answer_by(respond, task_id)


def run_path(run: Migration) -> str:
    return f"/dags/{MIGRATION}/runs/{quote(run.run_id)}"


def open_tab(page: Page, run: Migration, view: str = "Run") -> FrameLocator:
    """Open the console in the tab that it has on a run."""
    page.goto(run_path(run))
    page.get_by_role("link", name="Partitions", exact=True).click()
    console = page.frame_locator("iframe")
    console.get_by_role("tab", name=view, exact=True).click()
    return console


def open_console(page: Page, **chosen: str) -> None:
    page.goto(f"{CONSOLE}?{urlencode(chosen)}")
    expect(page.locator("#view")).not_to_have_text("Reading…")


def figure(console: FrameLocator | Page, name: str) -> Locator:
    return console.locator(".figure").filter(has_text=name).locator(".badge")


# ---- The tests


def test_the_form_refuses_a_bad_value(page: Page, errors: list[str], client: AirflowClient) -> None:
    dialog = open_form(page, MIGRATION)
    unfold(dialog, "Criteria and report")
    dialog.get_by_label("Least speedup").fill("1")
    press_trigger(dialog)
    expect(dialog).to_contain_text("Invalid input for param min_speedup: 1 is greater than or equal to the maximum")
    assert ["400 (Bad Request)" in each for each in errors] == [True]
    errors.clear()
    assert client.unfinished_runs(MIGRATION) == []


def test_a_rehearsal_is_watched_approved_waived_signed_off_and_rolled_back(
    page: Page, client: AirflowClient, server: Server, connection: psycopg.Connection, dsn: str
) -> None:
    with psycopg.connect(dsn, autocommit=True) as holder:
        sabotage.at(holder, "loads", sabotage.LOADED, sabotage.HOLD)
        holder.execute("SELECT pg_advisory_lock(1)")
        run = Migration(client, server, connection, rehearse(page))
        run.wait_for("two load", lambda: run.one(AT_WORK) == 2)
        partitions = run.one(LOADING)  # a group can have more than one
        console = open_tab(page, run)
        loading = console.get_by_role("row").filter(has=console.get_by_text("loading", exact=True))
        expect(loading).to_have_count(partitions)
        for each in range(partitions):
            expect(loading.nth(each).get_by_role("progressbar")).to_have_attribute("value", re.compile("[1-9]"))
        expect(step(console, "migration").locator(".badge")).to_have_text("running")
        expect(console.locator("p").filter(has_text="At work:")).to_contain_text(LOAD)
    expect(console.get_by_text(ALL_LOADED)).to_be_visible(timeout=BUSY_MS)
    run.asked(APPROVAL)
    answer_is_one_click_away(page, run)
    answer(page, run, APPROVAL, "Approve")

    run.asked(GATE)
    failed = open_tab(page, run, "Gates").locator("tr.failed")
    expect(failed.filter(has_text="speedup_last_7_days").locator(".note")).to_contain_text("Weigh the gains")
    answer(page, run, GATE, "Waive", REASON)
    answer(page, run, SECOND_APPROVAL, "Approve")
    answer(page, run, SIGN_OFF, "Approve")

    assert run.finish() == "success", run.story()
    console = open_tab(page, run)
    expect(figure(console, "Verdict")).to_have_text("go")
    expect(step(console, "pruning").locator(".badge")).to_have_text("waived")
    expect(step(console, "rollback").locator(".badge")).to_have_text("passed")
    drawn_again_after_a_reload(page, run)
    audit_is_downloaded(page, run)
    plan_is_read(page, run)
    follow_link(page, run, f"{LOAD}/mapped/0", "Partition")
    expect(page.locator("tr.chosen .name")).to_have_text(re.compile("^sensor_readings_y"))
    follow_link(page, run, "decision.say_verdict", "Report")
    expect(page.locator(".verdict")).to_have_text("GO")
    expect(page.get_by_role("heading", level=1)).to_have_text("Rehearsed partitioning of public.sensor_readings")
    expect(page.locator(".headlines")).to_contain_text(re.compile("lock held.*rollback", re.DOTALL))
    expect(page.locator("main")).to_contain_text(REASON)
    assert faults_of_report(page) == []
    assert faults_of_console(page, run) == {}

    press_trigger(open_form(page, "partition_rollback"))
    page.wait_for_url("**/runs/*")
    expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=BUSY_MS)
    open_console(page, table="sensor_readings", run=run.run_id, view="run")
    expect(figure(page, "Verdict")).to_have_text("rolled back")
    assert not footprint.description(dsn, TABLE).is_partitioned


def follow_link(page: Page, run: Migration, task: str, name: str) -> None:
    page.goto(f"{run_path(run)}/tasks/{task}/details")
    page.get_by_role("link", name=name, exact=True).click()


def step(console: FrameLocator | Page, section: str) -> Locator:
    steps = console.get_by_role("list", name="Sections of the run").get_by_role("listitem")
    return steps.filter(has=console.get_by_role("button", name=section, exact=True))


def answer_is_one_click_away(page: Page, run: Migration) -> None:
    console = open_tab(page, run)
    waiting = console.locator(".note").filter(has_text="Waits for:")
    expect(waiting).to_contain_text("sensor_readings: cut over?")
    expect(step(console, "migration").locator(".badge")).to_have_text("asks a person")
    waiting.get_by_role("link", name="answer").click()
    page.wait_for_url(f"**/tasks/{APPROVAL}/required_actions")


def drawn_again_after_a_reload(page: Page, run: Migration) -> None:
    """A series comes from the ledger: its chart is the same for each viewer and at each time."""
    drawn = []
    for _ in range(2):
        open_console(page, table="sensor_readings", run=run.run_id, view="run")
        expect(page.get_by_role("img", name=re.compile("^Waiting changes "))).to_be_visible()
        drawn.append(page.get_by_role("img", name=re.compile("^Rows loaded per second ")).get_attribute("aria-label"))
    assert drawn[0] == drawn[1]


def audit_is_downloaded(page: Page, run: Migration) -> None:
    open_console(page, table="sensor_readings", run=run.run_id, view="audit")
    with page.expect_download() as started:
        page.get_by_role("link", name="Download as CSV").click()
    lines = started.value.path().read_text().splitlines()
    assert lines[0].startswith("event_id,happened_at,section,kind,message")
    assert len(lines) > 100


def plan_is_read(page: Page, run: Migration) -> None:
    open_console(page, table="sensor_readings", run=run.run_id, view="run")
    page.get_by_role("link", name="plan.sql").click()
    page.wait_for_url("**/plan?**")
    expect(page.locator("body")).to_contain_text("CREATE TABLE")


def faults_of_report(page: Page) -> list[str]:
    """Look at the report's text on another page: on its own no script runs, Axe's neither."""
    other = page.context.new_page()
    other.set_viewport_size(PHONE)  # type: ignore[arg-type]
    found = []
    for theme in ("light", "dark"):
        other.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        other.set_content(page.request.get(page.url).text())
        found += serious(other)
        assert other.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    other.close()
    return found


def faults_of_console(page: Page, run: Migration) -> dict[tuple[str, str], list[str]]:
    """Return what keeps people from reading the console: contrast, a missing name; Axe tells of many more ways."""
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    found = {}
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for view in VIEWS:
            open_console(page, table="sensor_readings", run=run.run_id, view=view)
            found[theme, view] = serious(page)
            assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], view
            assert page.evaluate(SIDEWAYS) == [], view
        (red, *_) = map(int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor")))
        assert (red < 128) == (theme == "dark")
    return {where: faults for where, faults in found.items() if faults}


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def test_the_console_follows_the_theme_of_airflow(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Partitions").click()
    body = page.frame_locator("iframe").locator("html")
    expect(body).to_have_css("color-scheme", "light")
    page.evaluate("document.documentElement.classList.replace('light', 'dark')")
    expect(body).to_have_css("color-scheme", "dark")


def test_a_stranger_is_led_to_the_login_and_told_nothing(browser: Browser, airflow: Instance) -> None:
    context = browser.new_context(base_url=airflow.url)
    page = context.new_page()
    page.goto(CONSOLE)
    expect(page.get_by_label("Username")).to_be_visible()
    assert context.request.get(f"{CONSOLE}api/tables").status == 401
    context.close()


def test_who_has_no_rights_is_told_nothing(browser: Browser, airflow: Instance) -> None:
    page = sign_in(browser, airflow, "guest")
    answer = page.goto(CONSOLE)
    assert answer
    assert answer.status == 403
    assert page.request.get(f"{CONSOLE}api/tables").status == 403
    page.context.close()
