"""A headless Chromium, as a person who looks at Airflow has it: `python -m staging.browser` sees that there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from staging.instance import Instance

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
INSTALL = (("apt-get", "update", "-q"), ("apt-get", "install", "-q", "-y", "--no-install-recommends", "chromium"))
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
    """Log in by Airflow's form; the people of an instance have their names for passwords."""
    page = browser.new_context(base_url=airflow.url).new_page()
    page.goto("/")
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(user)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda address: "/auth/login" not in address)
    return page


def _program(playwright: Playwright) -> str:
    """Return the system's browser, else Playwright's own."""
    found = _installed() or playwright.chromium.executable_path
    if not Path(found).exists():
        raise BrowserError(f"There is no Chromium. {REMEDY}")
    return found


def _installed() -> str | None:
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


def main() -> None:
    """Install a browser where there is none and this may be done; else say what to do."""
    if not _installed() and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in INSTALL:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with sync_playwright() as playwright:
        _program(playwright)


if __name__ == "__main__":
    try:
        main()
    except (BrowserError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"The tests need a browser. {error}") from None
