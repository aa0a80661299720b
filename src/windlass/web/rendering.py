"""Templates into HTML: everything in them is escaped, and options are spelled as the command line
does."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from windlass.model.text import in_lines
from windlass.model.wording import spelled
from windlass.version import __version__


def as_option(name: str, value: str) -> str:
    """A word of a message as the command line has it."""
    return f"--{name} {value}" if value else f"--{name}"


def render(template: str, **view: Any) -> str:
    return _environment().get_template(template).render(view)


@cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("windlass.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    found.globals["version"] = __version__
    found.globals["static"] = {name: f"{name}?{_digest(text)}" for name, text in statics().items()}
    return found


def _shown(value: Any) -> Any:
    """A name may hold what changes the direction of text, or is not visible."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return in_lines(spelled(value, as_option))
    return value


@cache
def statics() -> Mapping[str, bytes]:
    """The files that the page loads, by name: its own, and the style of reports."""
    own = files("windlass.web").joinpath("static")
    style = files("windlass.report").joinpath("templates", "style.css")
    return {
        "style.css": style.read_bytes(),
        "page.css": own.joinpath("page.css").read_bytes(),
        "page.js": own.joinpath("page.js").read_bytes(),
    }


def _digest(content: bytes) -> str:
    """Changes with the content, so that browsers may keep a file."""
    return hashlib.sha256(content).hexdigest()[:12]
