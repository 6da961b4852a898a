"""What a person sees in a browser: the trigger form that refuses, the console, and what a stranger does not see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect
from psycopg import sql

from staging.browser import chromium, sign_in
from staging.instance import Instance
from staging.rest import AirflowClient
from tests.fixtures import sabotage
from tests.fixtures.running_airflow import Server

CONSOLE = "/partition_playbook/"
VIEWS = ("tables", "partitions", "runs")
PHONE = {"width": 390, "height": 844}
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def dsn(server: Server, server_dsn: str, template: str) -> Iterator[str]:
    """Return the database that this Airflow's connection names, one for all tests here."""
    name = sql.Identifier(server.name("staging"))
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(template)))
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
    dialog = page.get_by_role("dialog")
    choose(dialog, "Table", "calm")
    return dialog


def choose(dialog: Locator, name: str, value: str) -> None:
    dialog.get_by_role("combobox", name=name, exact=True).click()
    dialog.page.get_by_role("option", name=value, exact=True).click()


def press_trigger(dialog: Locator) -> None:
    dialog.get_by_role("button", name="Trigger").click()


def open_console(page: Page, **chosen: str) -> None:
    page.goto(f"{CONSOLE}?{urlencode(chosen)}")
    expect(page.locator("#view")).not_to_have_text("Reading…")


# ---- The tests


def test_the_form_refuses_a_bad_value(page: Page, errors: list[str], client: AirflowClient) -> None:
    dialog = open_form(page, "partition_migration")
    dialog.get_by_role("button", name="Criteria and report").click()
    dialog.get_by_label("Least speedup").fill("1")
    press_trigger(dialog)
    expect(dialog).to_contain_text("Invalid input for param min_speedup: 1 is greater than or equal to the maximum")
    assert ["400 (Bad Request)" in each for each in errors] == [True]
    errors.clear()
    assert client.unfinished_runs("partition_migration") == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nobody_is_kept_from_reading_the_console(page: Page, theme: Any) -> None:
    """Neither by its contrast, nor by a phone, nor by a missing name; Axe tells of many more ways."""
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    found: dict[str, list[str]] = {}
    for view in VIEWS:
        open_console(page, table="calm", view=view)
        found[view] = serious(page)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], view
    assert found == {view: [] for view in VIEWS}
    (red, *_) = map(int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor")))
    assert (red < 128) == (theme == "dark")


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
