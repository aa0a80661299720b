"""Every kind of page of `windlass serve` in a real browser: accessible, light and dark, on a phone
and on a desktop, and by the keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from browsing import DESKTOP, PHONE, chromium
from needs import needs_module
from shown_pages import PAGES, TOKEN, Shown, made_up_app, showing

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def page() -> Iterator[Shown]:
    with showing(made_up_app()) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    needs_module("axe_playwright_python")
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def tab(browser: Browser, page: Shown) -> Iterator[Page]:
    """A tab that is logged in."""
    context = browser.new_context()
    found: Page = context.new_page()
    found.set_default_timeout(20_000)
    found.goto(page.url)
    found.fill("#token", TOKEN)
    found.keyboard.press("Enter")
    found.wait_for_selector("h1:has-text('Runs')")
    yield found
    context.close()


def faults_of(tab: Page) -> list[str]:
    """What axe-core finds, light and dark, and whether the page is wider than the screen."""
    from axe_playwright_python.sync_playwright import Axe

    found = []
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        options: Any = {} if scheme == "light" else {"runOnly": ["color-contrast"]}
        result = Axe().run(tab, options=options)
        if result.violations_count:
            found.append(f"{scheme}: {result.generate_report()}")
    wide = tab.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return [*found, *([f"{wide} pixels too wide"] if wide > 0 else [])]


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_on_any_page_and_a_phone_never_scrolls_it_sideways(
    name: str, tab: Page, page: Shown
) -> None:
    for size in (PHONE, DESKTOP):
        tab.set_viewport_size(size)  # type: ignore[arg-type]
        answer = tab.goto(f"{page.url}{PAGES[name]}")
        assert answer
        assert answer.status < 500, tab.inner_text("main")
        assert faults_of(tab) == []


def test_axe_finds_nothing_where_people_log_in(browser: Browser, page: Shown) -> None:
    context = browser.new_context()
    tab: Page = context.new_page()
    tab.set_viewport_size(PHONE)  # type: ignore[arg-type]
    tab.goto(page.url)
    assert faults_of(tab) == []
    tab.fill("#token", "wrong")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("[role=alert]")
    assert faults_of(tab) == []
    context.close()


def test_a_run_that_follows_shows_its_lag_room_for_the_log_and_what_blocks_a_cutover(
    tab: Page, page: Shown
) -> None:
    tab.goto(f"{page.url}{PAGES['following']}")
    text = tab.inner_text("#progress")
    for words in (
        "lag 240 ms",
        "room for 10.0 GB",
        "shop.basket: has no key",
        "rehearsed",
        "windlass cutover",
    ):
        assert words in text, text


def test_the_keyboard_alone_reaches_a_run_and_its_cutover(tab: Page, page: Shown) -> None:
    """And what has the focus keeps it while the page changes."""
    tab.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    tab.goto(page.url)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the content"
    tab.keyboard.press("Enter")
    press_until(tab, "20261128_0618_cccc")
    tab.wait_for_selector(".verdict:has-text('Following')")
    press_until(tab, "Cut over")
    tab.wait_for_selector("h1:has-text('Cut over?')")
    assert "Writes to" in tab.inner_text("main")


def press_until(tab: Page, text: str) -> None:
    """Press Tab until a link or a button of this text has the focus, and then Enter."""
    for _ in range(80):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.textContent").strip() == text:
            tab.keyboard.press("Enter")
            return
    raise AssertionError(f"no {text} by the keyboard")
