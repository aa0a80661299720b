"""What a page must be: whole, self-contained, without scripts, and nothing refers to what is not
there."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input"}
LOADS = {"script", "link", "img", "iframe", "object", "embed", "base", "form"}


class Page(HTMLParser):
    """A page as it was read: its texts in their elements, and what is wrong with it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.refers: list[str] = []
        self.texts: list[str] = []
        self.headings: list[str] = []
        self.folded: list[str] = []  # texts within <details>
        self.feed(html)
        self.close()
        self.faults += [f"<{tag}> is not closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in LOADS:
            self.faults.append(f"<{tag}>")
        for name, value in attrs:
            if name.startswith("on") or name in ("src", "style", "srcdoc"):
                self.faults.append(f"{tag} {name}={value}")
            if name == "id" and value:
                self.ids.append(value)
            if name in ("aria-labelledby", "for") or (name == "href" and (value or "")[:1] == "#"):
                self.refers.append((value or "").lstrip("#"))
            if name == "href" and not (value or "").startswith(("#", "https://", "http://")):
                self.faults.append(f"leads to {value}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        words = " ".join(data.split())
        if not words or "style" in self.open:
            return
        self.texts.append(words)
        if "details" in self.open:
            self.folded.append(words)
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.headings.append(words)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


def page_faults(html: str) -> list[str]:
    return list(_faults(html))


def _faults(html: str) -> Iterator[str]:
    found = Page(html)
    yield from found.faults
    yield from (f"id {one} twice" for one in found.ids if found.ids.count(one) > 1)
    yield from (f"refers to {one}" for one in found.refers if one not in found.ids)
    if not html.startswith("<!doctype html>\n<html lang="):
        yield "does not begin as a page"
    for needed in ("title", "main", "h1"):
        if found.tags.count(needed) != 1:
            yield f"{found.tags.count(needed)} of <{needed}>"
    if "url(" in html.partition("</style>")[0] or "@import" in html.partition("</style>")[0]:
        yield "the style loads something"
