"""Renders a page from the templates beside this module. Every value in them is escaped.

Decides nothing about content: `windlass.report.run_view` and `windlass.report.plan_view` do.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from windlass.model.step_text import step_text
from windlass.model.text import in_lines
from windlass.model.units import bytes_text, milliseconds_text, seconds_text
from windlass.report.plan_view import plan_view
from windlass.report.run_view import run_view

Document = Mapping[str, Any]


def run_page(document: Document) -> str:
    """The report of a run, from what ``--json`` prints. A command that failed before it had a run
    has a report as well."""
    return _render("run.html", run_view(document))


def plan_page(document: Document) -> str:
    """A plan to read and to sign, from what ``windlass plan --json`` prints."""
    return _render("plan.html", plan_view(document))


def _render(name: str, view: Mapping[str, Any]) -> str:
    return _environment().get_template(name).render(view)


@cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("windlass.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    style = files("windlass.report").joinpath("templates", "style.css").read_text("utf-8")
    found.globals["style"] = Markup(style)
    found.filters |= {
        "bytes": bytes_text,
        "seconds": seconds_text,
        "milliseconds": milliseconds_text,
        "count": lambda number: f"{number:,}",
        "step": step_text,
    }
    return found


def _shown(value: Any) -> Any:
    """Make characters visible that change the direction of text, or are invisible: names may have
    them."""
    return in_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value
