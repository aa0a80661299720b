"""The group of all commands, without the commands: `windlass --version` needs none of them."""

from __future__ import annotations

import click

from windlass.cli.group import InOrder
from windlass.version import __version__


@click.group(
    cls=InOrder,
    commands_in="windlass.cli.commands",
    alone=dict.fromkeys(("plan", "migrate", "verify"), "windlass.cli.migrating"),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done (and verified), 1 differences or losses found, "
    "2 bad options or spec, 3 refused and nothing written, 4 stopped part-way, "
    "5 cutover taken back, 130 interrupted. "
    "After 4 and 130 the last lines say what to do: usually the same command.",
)
@click.version_option(__version__, message="windlass %(version)s")
def windlass() -> None:
    """Move a database to another server: plan, run, prove, undo."""
