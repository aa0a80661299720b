"""Command-line options: what commands take, and the `Spec` made of it.

Options and choices are written out here rather than taken from `windlass.spec.spec`, so that
``windlass --help`` loads nothing heavy; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from windlass.cli.voice import Voice
    from windlass.planning.reviewed import Reviewed
    from windlass.spec.rewrite import RewriteSpec
    from windlass.spec.spec import Spec

Command = TypeVar("Command", bound=Callable[..., Any])
Option = Callable[[Command], Command]

CHUNK_BY = ("auto", "ctid", "keyset", "whole")
EXISTING = ("refuse", "replace", "fill")
UNLOGGED = ("auto", "always", "never")
VERIFY = ("none", "counts", "full")
ACCEPT = ("values", "constraints", "objects", "behaviour", "settings", "secrets")
FILE_FORMATS = ("parquet", "csv")
DISPOSITIONS = ("truncate", "append", "merge")
FORMATS = ("text", "markdown", "json")


def _pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for value in values:
        old, equals, new = value.partition("=")
        if not (old and equals and new):
            raise click.BadParameter(f"{value!r} is not old=new", ctx, param)
        found[old] = new
    return found


_CONNECTION = "postgresql:// URL, libpq conninfo string or service name"

SOURCE = click.option(
    "--source", metavar="S", help=f"Source database: {_CONNECTION}. Default: $WINDLASS_SOURCE."
)
TARGET = click.option(
    "--target",
    metavar="T",
    help="Target database, given in the same way. Default: $WINDLASS_TARGET.",
)
FILE = click.option(
    "-f",
    "--file",
    metavar="SPEC",
    type=click.Path(path_type=Path, dir_okay=False),
    help="YAML file with the same options (see `windlass spec`); those given here win over it.",
)

DATABASE = click.option(
    "--target",
    metavar="T",
    help=f"The database: {_CONNECTION}. Default: $WINDLASS_TARGET.",
)
REWRITE_FILE = click.option(
    "-f",
    "--file",
    metavar="SPEC",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="YAML file that says which rows and how (see docs/rewrite.md).",
)


def _selection(*, only: str, renamed: str, definitions: str, rows: str) -> tuple[Option[Any], ...]:
    """What of the databases a command is about, in the words of that command."""
    return (
        click.option(
            "--schema",
            metavar="NAME",
            multiple=True,
            help=f"{only} this schema; may be given several times. Default: all user schemas.",
        ),
        click.option(
            "--include",
            metavar="PATTERN",
            multiple=True,
            help=f"{only} what matches a shell pattern on schema.table, such as 'shop.order*'.",
        ),
        click.option(
            "--exclude",
            metavar="PATTERN",
            multiple=True,
            help="Leave out what matches a shell pattern on schema.table.",
        ),
        click.option(
            "--map-schema", metavar="OLD=NEW", multiple=True, callback=_pairs, help=renamed
        ),
        click.option("--schema-only", is_flag=True, default=None, help=definitions),
        click.option("--data-only", is_flag=True, default=None, help=rows),
    )


def _chunks() -> tuple[Option[Any], ...]:
    return (
        click.option(
            "--chunk-by",
            type=click.Choice(CHUNK_BY),
            help="What large tables are split by; auto: block ranges where the server can, else"
            " keys.",
        ),
        click.option(
            "--chunk-size", metavar="BYTES", help="Size of a chunk, such as 64MB, the default."
        ),
        click.option(
            "--partition-threshold",
            metavar="ROWS",
            type=int,
            help="Split tables with at least this many rows. Default: by size.",
        ),
        click.option(
            "--max-partitions",
            metavar="N",
            type=int,
            help="Split a table into this many chunks at most. Default: by size.",
        ),
        click.option(
            "--chunk-rows",
            metavar="ROWS",
            type=int,
            help="Make no chunk with fewer rows than this.",
        ),
    )


def _jobs(what: str) -> Option[Any]:
    return click.option(
        "-j", "--jobs", metavar="N", type=int, help=f"How many {what}. Default: the cores."
    )


def _unlogged(*, hidden: bool = False) -> Option[Any]:
    return click.option(
        "--unlogged",
        type=click.Choice(UNLOGGED),
        hidden=hidden,
        help="Fill tables unlogged, then make them logged; auto (default): only where the "
        "target has wal_level = minimal, as it takes longer elsewhere.",
    )


def _existing(*, hidden: bool = False) -> Option[Any]:
    return click.option(
        "--existing",
        type=click.Choice(EXISTING),
        hidden=hidden,
        help="Tables that the target has already: refuse (default) stops before anything is "
        "written; replace sets them aside first, see rollback; fill loads into empty ones.",
    )


def _accept(*, hidden: bool = False) -> Option[Any]:
    return click.option(
        "--accept",
        type=click.Choice(ACCEPT),
        multiple=True,
        hidden=hidden,
        help="Migrate although the plan names a loss of this class; may be given several times.",
    )


def _one_snapshot(*, hidden: bool = False) -> Option[Any]:
    return click.option(
        "--one-snapshot",
        is_flag=True,
        default=None,
        hidden=hidden,
        help="Stop rather than continue with a second snapshot when the first is lost.",
    )


def _allow_empty_source(*, hidden: bool = False) -> Option[Any]:
    return click.option(
        "--allow-empty-source",
        is_flag=True,
        default=None,
        hidden=hidden,
        help="Go ahead although the source has nothing, and the target has something.",
    )


SNAPSHOT = click.option(
    "--snapshot",
    metavar="ID",
    help="Read in this exported snapshot of the source, which another session holds.",
)


def _verify(text: str) -> Option[Any]:
    return click.option("--verify", type=click.Choice(VERIFY), help=text)


MOVE = (
    SOURCE,
    TARGET,
    FILE,
    *_selection(
        only="Migrate only",
        renamed="Give a schema another name on the target; may be given several times.",
        definitions="Migrate definitions, no rows.",
        rows="Copy rows into tables that exist already.",
    ),
    _jobs("chunks are copied, or indexes built, side by side"),
    *_chunks(),
    _unlogged(),
    _existing(),
    _accept(),
    _verify("What is compared after the copy. Default: full, the content of every row."),
    _one_snapshot(),
    _allow_empty_source(),
    SNAPSHOT,
)
# A command line that moved can be run again as one that verifies: words that only matter to a
# move are taken and have no effect.
VERIFICATION = (
    SOURCE,
    TARGET,
    FILE,
    *_selection(
        only="Compare only",
        renamed="A schema that has another name on the target; may be given several times.",
        definitions="Compare definitions, no rows.",
        rows="Compare rows and sequences, no definitions.",
    ),
    _jobs("chunks are compared side by side"),
    *_chunks(),
    _unlogged(hidden=True),
    _verify("How far to compare: row counts, or full (default): the content of every row."),
    _existing(hidden=True),
    _accept(hidden=True),
    _one_snapshot(hidden=True),
    _allow_empty_source(hidden=True),
    SNAPSHOT,
)

EXPORT = (
    SOURCE,
    click.option(
        "--to", metavar="URL", help="Folder for the files: s3://, gs://, az:// or file:///path."
    ),
    click.option(
        "--warehouse",
        metavar="URL",
        help="duckdb:///path, bigquery://project/dataset or postgresql://...; default: files only.",
    ),
    FILE,
    click.option("--format", type=click.Choice(FILE_FORMATS), help="Parquet (default) or CSV."),
    click.option(
        "--disposition",
        type=click.Choice(DISPOSITIONS),
        help="Rows that the warehouse has are replaced (truncate, the default), kept (append), or "
        "replaced where the key is the same (merge).",
    ),
    click.option(
        "--keep-files", is_flag=True, default=None, help="Keep the files after they are loaded."
    ),
    click.option(
        "-j", "--jobs", metavar="N", type=int, help="Tables side by side. Default: the cores."
    ),
)

DIFFERENCES = click.option(
    "--differences",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write everything that differs into FILE, each row with its key and columns as one line of"
    " JSON.",
)

# `windlass.cli.voice` reads these itself, before click does.
JSON = click.option(
    "--json", is_flag=True, expose_value=False, help="Print one JSON object on stdout."
)
QUIET = click.option(
    "-q", "--quiet", is_flag=True, expose_value=False, help="No progress, and a short result."
)
VERBOSE = click.option(
    "-v",
    "--verbose",
    count=True,
    expose_value=False,
    help="Log what is done; twice for every detail. Shows the traceback of an unexpected error.",
)
OUTPUT = (JSON, QUIET, VERBOSE)


def takes(*options: Option[Any]) -> Option[Any]:
    """Decorate a command with options, in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def read_spec(voice: Voice, words: dict[str, Any], needs: tuple[str, ...]) -> Spec:
    """The spec that a command was given. Its passwords are never said from then on.

    Raises:
        BadSpec: with every fault.
    """
    from windlass.spec.loading import load_spec

    file = words.pop("file", None)
    spec = load_spec(words, file, needs=needs)
    for connection in (spec.source, spec.target):
        if connection is not None:
            voice.hide_passwords_of(connection.get_secret_value())
    return spec


# what may be said beside a plan's own options: who runs it and how fast
BESIDE_A_PLAN = {"source", "target", "file", "jobs"}


def read_reviewed(path: Path, words: dict[str, Any]) -> Reviewed:
    """The plan of a file; its options are added to the words.

    Raises:
        BadSpec: it is no plan, or other options are given beside it.
    """
    from windlass.errors import BadSpec
    from windlass.planning.reviewed import Reviewed

    reviewed = Reviewed.read(path)
    given = {key for key, value in words.items() if value not in (None, (), {})}
    if others := sorted(given - BESIDE_A_PLAN):
        names = ", ".join("--" + name.replace("_", "-") for name in others)
        raise BadSpec(
            [f"{names}: the plan in {path} has its own options"],
            hint="leave them out, or make the plan again with them",
        )
    for key, value in reviewed.options.items():
        name = key.replace("-", "_")
        words[name] = words.get(name) or value
    return reviewed


def read_rewrite_spec(voice: Voice, words: dict[str, Any]) -> RewriteSpec:
    """The same for a rewrite.

    Raises:
        BadSpec: with every fault.
    """
    from windlass.spec.loading import load_rewrite_spec

    spec = load_rewrite_spec({"connection": words["target"]}, words["file"])
    assert spec.connection is not None
    voice.hide_passwords_of(spec.connection.get_secret_value())
    return spec


def read_target(voice: Voice, words: dict[str, Any]) -> str:
    """The database whose journal is asked for, from the words or a spec file of any flow.

    Raises:
        BadSpec: with every fault.
    """
    from windlass.spec.loading import flow_of_file

    if words.get("file") is not None and flow_of_file(words["file"]) == "rewrite":
        found = read_rewrite_spec(voice, words).connection
    else:
        found = read_spec(voice, words, ("target",)).target
    assert found is not None  # asked for
    return found.get_secret_value()
