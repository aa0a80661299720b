"""Make the pictures of docs/page.md: the page of `windlass serve` beside real runs, in a real
browser.

    .venv/bin/python -m docs.page_pictures

It needs a Chromium, by default Debian's. Servers, databases and files are in a temporary folder,
which is gone afterwards. With a folder as its argument it also keeps every kind of page there, as
wide as a phone and a desktop, light and dark.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from playwright.sync_api import Browser, Page, sync_playwright

from docs.report_pictures import DESKTOP, IMAGES, PHONE, flatten
from windlass.demo import servers, shop

SCALE = 0.3
SETTINGS = {"wal_level": "logical", "max_wal_size": "2GB"}
TOKEN = "the-token-of-the-pictures"
SECONDS = 120.0
PART = ("--accept", "constraints")  # to relations of schemas that are left out


@dataclass
class Stage:
    """Two servers with databases, and what runs beside them."""

    folder: Path
    source: str  # the address of the shop
    address: Callable[[str], str]  # of a database on the target's server
    stack: ExitStack
    pages: dict[str, str] = field(default_factory=dict)  # addresses, by what they show

    def environment(self, target: str) -> dict[str, str]:
        return {**os.environ, "WINDLASS_SOURCE": self.source, "WINDLASS_TARGET": target}

    def spec(self, name: str) -> Path:
        """A spec file for the database of this name."""
        file = self.folder / f"{name}.yaml"
        file.touch(mode=0o600)
        file.write_text(f"source: {self.source}\ntarget: {self.address(name)}\n")
        return file

    def run(self, name: str, *words: str) -> int:
        call = [sys.executable, "-m", "windlass", *words, "--quiet"]
        return subprocess.run(
            call, env=self.environment(self.address(name)), check=False
        ).returncode

    @contextmanager
    def running(self, name: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        call = [sys.executable, "-m", "windlass", *words, "--quiet"]
        process = subprocess.Popen(call, env=self.environment(self.address(name)))
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()

    def value(self, name: str, query: str) -> object:
        with closing(psycopg.connect(self.address(name), autocommit=True)) as connection:
            row = connection.execute(query.encode()).fetchone()
        return row[0] if row else None

    def until(self, name: str, query: str) -> None:
        """Wait until a query returns true."""
        end = time.monotonic() + SECONDS
        while True:
            try:
                if self.value(name, query):
                    return
            except psycopg.errors.UndefinedTable:
                pass  # the journal is not there yet
            if time.monotonic() > end:
                raise SystemExit(f"{name}: not true in time: {query}")
            time.sleep(0.02)


COPIED = (
    "select count(*) >= 6 from windlass.line join windlass.run using (run) where state = 'running'"
    " and step in ('copy_tables', 'copy_chunks')"
)
NEWEST = "select run from windlass.run order by started_at desc limit 1"


def main(kept: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="windlass-pictures-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # the servers of root run as somebody else
        stack.callback(lambda: [servers.remove(folder / side) for side in servers.SIDES])
        sides = servers.start_both(folder, None, SETTINGS)
        source = sides["source"].create_database("shop")
        shop.fill(source, SCALE)
        for one in ("shop", "shop_next", "shop_moving"):
            sides["target"].create_database(one)
        stage = Stage(folder, source, sides["target"].url, stack)
        end_with_differences(stage)
        follow(stage)
        hold_halfway(stage)
        url = serve(stage)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox"]
            )
            take_all(stage, url, browser, kept)
            browser.close()


def end_with_differences(stage: Stage) -> None:
    """A run between whose copy and comparison somebody writes."""
    there = "to_regclass('shop.product') is not null"
    with stage.running("shop", "migrate", "--schema", "shop", *PART) as process:
        stage.until("shop", f"select {there}")
        stage.until("shop", "select count(*) > 50 from shop.product")
        stage.value("shop", "update shop.product set name = 'Oops' where id in (7, 42) returning 1")
        stage.value("shop", "delete from shop.product where id = 1 returning 1")
        process.wait()
    stage.pages["differences"] = f"/runs/shop/{stage.value('shop', NEWEST)}"


def follow(stage: Stage) -> None:
    """A run that follows, whose cutover was rehearsed."""
    name = "shop_moving"
    stage.stack.enter_context(
        stage.running(name, "migrate", "--follow", "--set-identity", "--schema", "warehouse", *PART)
    )
    stage.until(name, "select phase = 'following' from windlass.following")
    stage.until(name, "select lag_ms is not null from windlass.applied")
    stage.run(name, "cutover", "--rehearse", "--yes", "--max-lag", "60s")
    run = f"/runs/shop-moving/{stage.value(name, NEWEST)}"
    stage.pages |= {"following": run, "cutover": f"{run}/do/cutover", "log": f"{run}/log"}


def hold_halfway(stage: Stage) -> None:
    """A migration that waits in the middle, as another session has locked the journal."""
    name = "shop_next"
    stage.run(name, "migrate", "--schema", "warehouse", *PART)
    stage.run(name, "rollback", str(stage.value(name, NEWEST)), "--yes")
    locking = stage.stack.enter_context(closing(psycopg.connect(stage.address(name))))
    stage.stack.enter_context(stage.running(name, "migrate", "--jobs", "2"))
    while (row := locking.execute(COPIED).fetchone()) is None or not row[0]:
        locking.rollback()
        time.sleep(0.005)
    locking.rollback()
    locking.execute("lock table windlass.line in share mode")
    stage.pages["live"] = f"/runs/shop-next/{stage.value(name, NEWEST)}"


def serve(stage: Stage) -> str:
    words = [one for name in ("shop", "shop_next", "shop_moving") for one in
             ("--file", str(stage.spec(name)))]  # fmt: skip
    call = [sys.executable, "-m", "windlass", "serve", "--port", "0", "--allow-actions", *words]
    process = subprocess.Popen(
        call, stderr=subprocess.PIPE, env={**os.environ, "WINDLASS_WEB_TOKEN": TOKEN}, text=True
    )
    stage.stack.callback(process.wait)
    stage.stack.callback(process.terminate)
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://\S+", line):
            return found[0].rstrip("/")
    raise SystemExit("the page has not started")


def take_all(stage: Stage, url: str, browser: Browser, kept: Path | None) -> None:
    tab = open_tab(browser, url, DESKTOP)
    for name in ("list", "live", "differences", "cutover"):
        take(tab, url + stage.pages.get(name, "/"), IMAGES / f"page-{name}.png")
    phone = open_tab(browser, url, PHONE, "dark")
    take(phone, url + stage.pages["following"], IMAGES / "page-phone.png")
    if kept:
        keep(stage, url, browser, kept)


def open_tab(browser: Browser, url: str, size: dict[str, int], scheme: str = "light") -> Page:
    """A tab that is logged in."""
    context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    tab = context.new_page()
    tab.goto(url)
    tab.fill("#token", TOKEN)
    tab.keyboard.press("Enter")
    tab.wait_for_selector("h1:has-text('Runs')")
    return tab


def take(tab: Page, url: str, into: Path, *, whole: bool = False) -> None:
    tab.goto(url)
    live = "main[data-live]"
    if tab.locator(live).count():
        tab.wait_for_selector("#connection:has-text('Live')")
    for group in tab.locator("#runs section").all():  # each is read within a moment
        group.locator("table").wait_for()
    tab.screenshot(path=into, full_page=whole)
    flatten(into)


def keep(stage: Stage, url: str, browser: Browser, kept: Path) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    run = stage.pages["differences"]
    pages = {
        "list": "/",
        **stage.pages,
        "verify": f"{run}/do/verify",
        "rollback": f"{run}/do/rollback",
        "items": f"{run}/log?items=all",
        "missing": "/nothing",
        "impossible": f"{stage.pages['live']}/do/verify",
    }
    for size in (DESKTOP, PHONE):
        for scheme in ("light", "dark"):
            tab = open_tab(browser, url, size, scheme)
            for name, path in pages.items():
                take(tab, url + path, kept / f"{name}-{size['width']}-{scheme}.png", whole=True)
            tab.click("text=Log out")
            tab.screenshot(path=kept / f"login-{size['width']}-{scheme}.png")
            tab.context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
