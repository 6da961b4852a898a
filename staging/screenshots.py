"""Take the screenshots in docs/ from the last rehearsal of `make demo`: `python -m staging.screenshots`."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
from playwright.sync_api import Browser, Page, ViewportSize

from partition_playbook import figures
from staging import environment
from staging.browser import chromium, sign_in
from staging.instance import PROJECT, Instance

DOCS = PROJECT / "docs"
DAG = "/dags/partition_migration"
CONSOLE = "/partition_playbook"
DESKTOP = ViewportSize(width=1280, height=820)
PHONE = ViewportSize(width=390, height=844)
LAST = "SELECT run_id FROM partition_playbook.runs WHERE mode = 'rehearse' ORDER BY started_at DESC LIMIT 1"


def main() -> None:
    """Take all screenshots of the last rehearsal."""
    staging = environment.start()
    with psycopg.connect(staging.database) as connection:
        ledger = connection.execute("SELECT to_regclass('partition_playbook.runs')").fetchone()
        found = connection.execute(LAST).fetchone() if ledger and ledger[0] else None
    if not found:
        raise SystemExit("There is no rehearsal. Run `make demo` first.")
    with chromium() as browser:
        for path in take(browser, staging.airflow, found[0]):
            print(f"{path.relative_to(PROJECT)}  {figures.size(path.stat().st_size)}")


def take(browser: Browser, airflow: Instance, run_id: str) -> list[Path]:
    """Take the screenshots of one rehearsal and return their files."""
    page = sign_in(browser, airflow)
    page.set_default_timeout(60_000)
    page.set_viewport_size(DESKTOP)
    return [
        _form(page),
        _console(page),
        _run(page, run_id),
        _rehearsal(page, run_id),
        _console_on_a_phone(page, run_id),
        _report(page, run_id),
    ]


def _form(page: Page) -> Path:
    page.goto(DAG)
    page.get_by_role("button", name="Trigger").click()
    page.get_by_role("dialog").get_by_role("combobox", name="Mode", exact=True).wait_for()
    return _picture(page, "trigger-form")


def _console(page: Page) -> Path:
    page.goto("/plugin/partitions")
    console = page.frame_locator("iframe")
    console.get_by_role("tab", name="Partitions", exact=True).click()
    console.get_by_text("partitions, newest first").wait_for()
    return _picture(page, "console")


def _run(page: Page, run_id: str) -> Path:
    _open_run(page, run_id)
    return _picture(page, "console-run")


def _open_run(page: Page, run_id: str) -> None:
    page.goto(f"{CONSOLE}/?{urlencode({'table': 'sensor_readings', 'run': run_id, 'view': 'run'})}")
    page.get_by_text(re.compile("partitions loaded$")).wait_for()


def _rehearsal(page: Page, run_id: str) -> Path:
    """Show the run with its Gantt chart: the graph is unreadable at this size."""
    page.goto(f"{DAG}/runs/{quote(run_id, safe='')}")
    page.get_by_label("Gantt").first.click()
    page.get_by_text("00:00:00").first.wait_for()
    return _picture(page, "rehearsal")


def _console_on_a_phone(page: Page, run_id: str) -> Path:
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(PHONE)
    _open_run(page, run_id)
    return _picture(page, "console-phone")


def _report(page: Page, run_id: str) -> Path:
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(DESKTOP)
    page.goto(f"{CONSOLE}/report?{urlencode({'run_id': run_id})}")
    return _picture(page, "report")


def _picture(page: Page, name: str) -> Path:
    path = DOCS / f"{name}.png"
    page.screenshot(path=path, animations="disabled")
    return path


if __name__ == "__main__":
    main()
