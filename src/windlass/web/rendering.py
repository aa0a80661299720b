"""Renders templates as HTML. Everything in them is escaped; options are spelled as in the shell
that serves the page."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from windlass.model.text import in_lines
from windlass.model.wording import Spelling, spelled
from windlass.web.views import ending_of, ending_text


class Renderer:
    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling
        self._templates = Environment(
            loader=PackageLoader("windlass.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=self._shown,
        )
        names = {name: f"{name}?{_digest(content)}" for name, content in statics().items()}
        self._templates.globals["static"] = names
        self._templates.globals["ending_of"] = ending_of
        self._templates.filters["ending"] = ending_text

    def __call__(self, template: str, view: Mapping[str, Any]) -> str:
        return self._templates.get_template(template).render(view)

    def get_ready(self) -> None:
        """Compile all templates, which is slow the first time."""
        for name in self._templates.list_templates(extensions=["html"]):
            self._templates.get_template(name)

    def _shown(self, value: Any) -> Any:
        """Make characters visible that change the direction of text, or are invisible: names may
        have them."""
        if isinstance(value, str) and not isinstance(value, Markup):
            return in_lines(spelled(value, self._spelling))
        return value


@cache
def statics() -> Mapping[str, bytes]:
    """The files that the page loads, by name: its own, and the reports' style sheet."""
    own = files("windlass.web").joinpath("static")
    style = files("windlass.report").joinpath("templates", "style.css")
    return {
        "style.css": style.read_bytes(),
        "page.css": own.joinpath("page.css").read_bytes(),
        "page.js": own.joinpath("page.js").read_bytes(),
    }


def _digest(content: bytes) -> str:
    """A digest of the content, so that browsers can cache a file."""
    return hashlib.sha256(content).hexdigest()[:12]
