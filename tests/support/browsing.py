"""Debian's Chromium, and the page of `windlass serve` in it."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from awaiting import until
from command import Running, finish, start
from needs import needs_module, needs_program

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TOKEN = "a-token-of-the-tests"
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
_QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Skips the test where there is no browser."""
    needs_module("playwright")
    needs_program("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", *_QUIET]
        )
        yield found
        found.close()


class Page:
    """A process of `windlass serve`."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str]) -> None:
        self._process: Running = start("serve", *words, env=env)
        until(lambda: self._said("Ctrl-C ends it") or self._is_over, "the page")
        assert not self._is_over, finish(self._process).why
        found = re.search(r"https?://\S+", self.said)
        assert found, self.said
        self.url = found[0].rstrip("/")

    @property
    def said(self) -> str:
        return "".join(self._process.said())

    @property
    def port(self) -> str:
        return self.url.rpartition(":")[2]

    @property
    def _is_over(self) -> bool:
        return self._process.poll() is not None

    def _said(self, words: str) -> bool:
        return words in self.said

    def stop(self) -> int:
        """Its exit code."""
        if not self._is_over:
            self._process.send_signal(signal.SIGTERM)
        return finish(self._process, 30).code


@contextmanager
def serving(*words: str, env: Mapping[str, str] | None = None) -> Iterator[Page]:
    """The page, at a free port unless the words name one."""
    port = () if "--port" in words else ("--port", "0")
    page = Page((*words, *port), {"WINDLASS_WEB_TOKEN": TOKEN, **(env or {})})
    try:
        yield page
    finally:
        assert page.stop() == 0, page.said
