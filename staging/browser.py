"""Run a headless Chromium against Airflow; `python -m staging.browser` checks or installs it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from staging.debian import install
from staging.instance import Instance

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
REMEDY = "Install it with `apt-get install chromium`, or with `playwright install chromium`."


class BrowserError(RuntimeError):
    """There is no browser."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_program(playwright))
        try:
            yield browser
        finally:
            browser.close()


def sign_in(browser: Browser, airflow: Instance, user: str = "admin") -> Page:
    """Log in with Airflow's form; the password of a user is the user's name."""
    page = browser.new_context(base_url=airflow.url).new_page()
    page.goto("/")
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(user)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda address: "/auth/login" not in address)
    return page


def _program(playwright: Playwright) -> str:
    """Return the path of the system's browser, else of Playwright's; BrowserError if there is none."""
    found = _installed() or playwright.chromium.executable_path
    if not Path(found).exists():
        raise BrowserError(f"There is no Chromium. {REMEDY}")
    return found


def _installed() -> str | None:
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


def main() -> None:
    """Install a browser as root with apt-get if there is none; BrowserError with a remedy if it is still missing."""
    if not _installed():
        install("chromium")
    with sync_playwright() as playwright:
        _program(playwright)


if __name__ == "__main__":
    try:
        main()
    except (BrowserError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"The tests need a browser. {error}") from None
