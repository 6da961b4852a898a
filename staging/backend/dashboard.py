"""Load the application's page in a headless Chromium, and keep the errors that its console shows."""

from __future__ import annotations

from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PageTimeout

from staging.backend.verdict import Visit
from staging.browser import chromium

PATIENCE_MS = 30_000


def visit(url: str, occasion: str) -> Visit:
    """Open the page, wait for its drawing, and return the drawn points and all errors."""
    errors: list[str] = []
    with chromium() as browser:
        page = browser.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("requestfailed", lambda request: errors.append(f"no answer to {request.url.split('?')[0]}"))
        page.goto(url)
        points = _drawn(page, errors)
    return Visit(occasion, points, tuple(errors))


def _drawn(page: Page, errors: list[str]) -> int:
    line = page.locator("#chart polyline")
    try:
        line.wait_for(state="attached", timeout=PATIENCE_MS)
    except PageTimeout:
        errors.append(f"nothing drawn: {page.locator('#problem').text_content() or 'no problem shown'}")
        return 0
    return len((line.get_attribute("points") or "").split())
