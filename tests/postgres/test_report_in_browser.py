"""The pages in a real browser: accessible, and readable on a phone, on a desktop and on paper."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from needs import needs_module, needs_program
from sample_outcome import HOSTILE, sample_outcome
from sample_plan import sample_plan
from windlass.model.outcome import State
from windlass.planning.document.as_json import document
from windlass.report.page import plan_page, run_page
from windlass.run.published import outcome_json

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
PAGES = {
    "different": lambda: run_page(_printed(sample_outcome())),
    "stopped": lambda: run_page(_printed(sample_outcome(State.STOPPED))),
    "hostile": lambda: run_page(_printed(sample_outcome(name=f"shop.{HOSTILE * 3}"))),
    "plan": lambda: plan_page(json.loads(json.dumps(document(sample_plan())))),
}


def _printed(outcome: Any) -> dict[str, Any]:
    return dict(json.loads(json.dumps(outcome_json(outcome))))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    needs_module("playwright")
    needs_module("axe_playwright_python")
    needs_program("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield found
        found.close()


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Any]:
    """Opens a page from a file, as from a mail."""
    contexts = []

    def shown(name: str, size: Any, scheme: Any) -> Page:
        file = tmp_path / f"{name}.html"
        file.write_text(PAGES[name](), encoding="utf-8")
        context = browser.new_context(viewport=size, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.goto(file.as_uri())
        return page

    yield shown
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", ["different", "hostile", "plan"])
def test_axe_finds_nothing_and_a_phone_never_scrolls_the_page_sideways(
    name: str, show: Any
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = show(name, PHONE, "light")
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.emulate_media(color_scheme="dark")
    found = Axe().run(page, options={"runOnly": ["color-contrast"]})
    assert found.violations_count == 0, found.generate_report()


def test_the_verdict_is_seen_without_scrolling(show: Any) -> None:
    for size in (PHONE, DESKTOP):
        box = show("stopped", size, "light").locator(".verdict").bounding_box()
        assert box["y"] + box["height"] < size["height"]


def test_the_keyboard_reaches_the_content_and_what_scrolls(show: Any) -> None:
    page = show("different", PHONE, "light")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#content"


def test_nothing_is_loaded_and_no_script_runs(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "hostile.html"
    file.write_text(PAGES["hostile"](), encoding="utf-8")
    page = browser.new_page()
    asked: list[str] = []
    dialogs: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.goto(file.as_uri())
    page.close()
    assert (asked, dialogs) == ([file.as_uri()], [])


def test_it_prints(show: Any) -> None:
    paper = show("different", DESKTOP, "dark")
    paper.emulate_media(media="print")
    assert paper.pdf(format="A4").startswith(b"%PDF")
    ground = paper.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
