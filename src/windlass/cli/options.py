"""Command-line options: which ones commands take, and the spec made from them.

Options of a spec are made from the entries in `windlass.spec.fields`, which load nothing heavy, so
``windlass --help`` is answered at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from windlass.spec.fields.entry import EVERY_FLOW, Entry, Kind, Section
from windlass.spec.fields.migrate import MIGRATE

if TYPE_CHECKING:
    from windlass.cli.voice import Voice
    from windlass.planning.reviewed import Reviewed
    from windlass.spec.model import SpecModel

Command = TypeVar("Command", bound=Callable[..., Any])
Option = Callable[[Command], Command]

FORMATS = ("text", "markdown", "html", "json")


def _pairs(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...], *, empty: bool = False
) -> dict[str, str]:
    found = {}
    for value in values:
        old, equals, new = value.partition("=")
        if not (old and equals and (new or empty)):
            form = (str(param.metavar) if isinstance(param, click.Option) else "").lower()
            raise click.BadParameter(f"{value!r} is not {form or 'old=new'}", ctx, param)
        found[old] = new
    return found


def option(entry: Entry, *, help_: str = "", hidden: bool = False) -> Option[Any]:
    """The option of an entry. If it is not given it is None or empty, as the spec has the
    defaults."""
    assert entry.option is not None
    kind: dict[str, Any] = {"metavar": entry.option.metavar}
    if entry.choices:
        kind = {"type": click.Choice([str(one) for one in entry.choices])}
    elif entry.kind is Kind.NUMBER:
        kind["type"] = int
    elif entry.kind is Kind.FLAG:
        kind = {"is_flag": True, "default": None}
    if entry.kind in (Kind.LIST, Kind.PAIRS):
        kind["multiple"] = True
    if entry.kind is Kind.PAIRS:
        kind["callback"] = partial(_pairs, empty=entry.option.empty)
    names = [name for name in (entry.option.letter, entry.flag) if name]
    return click.option(*names, help=help_ or entry.help, hidden=hidden, **kind)


def _comparing(entry: Entry) -> Option[Any]:
    """The option for `windlass verify`. It accepts all options of a migration, so that the same
    command line works with either verb; those that only apply to a migration have no effect."""
    return option(entry, help_=entry.comparing, hidden=not entry.compares)


_FILE = click.Path(path_type=Path, dir_okay=False)
FILE = click.option(
    "-f",
    "--file",
    metavar="SPEC",
    type=_FILE,
    help="YAML file with the same options (see `windlass spec`); options given here override it.",
)


def with_file(
    entries: Iterable[Entry], made: Callable[[Entry], Option[Any]] = option
) -> tuple[Option[Any], ...]:
    """The options of entries, with `--file` after those of the databases."""
    offered = [entry for entry in entries if entry.option]
    databases = [made(entry) for entry in offered if entry.section is Section.DATABASES]
    others = [made(entry) for entry in offered if entry.section is not Section.DATABASES]
    return (*databases, FILE, *others)


TARGET = option(MIGRATE["target"])
MOVE = with_file(MIGRATE.values())
VERIFICATION = with_file(MIGRATE.values(), _comparing)


def of_flow(entries: Iterable[Entry]) -> tuple[Option[Any], ...]:
    """The options of a flow whose command has no others. `--file` is required if some options can
    only be given in a file."""
    kept = list(entries)
    some = with_file(kept)
    own = [one for one in kept if one not in EVERY_FLOW]
    if all(one.option is None or one.section is Section.DATABASES for one in own):
        text = "YAML file that says what to do (see `windlass spec`)."
        file = click.option("-f", "--file", metavar="SPEC", type=_FILE, required=True, help=text)
        return tuple(file if one is FILE else one for one in some)
    return some


RESTART = click.option(
    "--restart", is_flag=True, help="Start over instead of resuming an unfinished run."
)
DIFFERENCES = click.option(
    "--differences",
    metavar="FILE",
    type=_FILE,
    help="Write all differences into FILE, one line of JSON each, with key and columns.",
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
    help="Log each step; twice: every detail. Shows the traceback of an unexpected error.",
)
OUTPUT = (JSON, QUIET, VERBOSE)
SOURCE = option(MIGRATE["source"])
ENDING = (
    click.argument("run", default=""),
    SOURCE,
    TARGET,
    FILE,
    option(
        MIGRATE["report"],
        help_="Write a report of the whole run, with its end, into FILE, as one HTML page.",
    ),
    click.option("-y", "--yes", is_flag=True, help="Do not ask."),
    *OUTPUT,
)
DEMO = (
    click.option(
        "--cutover",
        is_flag=True,
        help="Cut over a ledger instead, there and back, while clients write to it.",
    ),
    click.option(
        "--scale",
        type=click.FloatRange(min=0, min_open=True),
        default=1.0,
        show_default=True,
        help="Size of the sample; 1 is about 1.5 million rows, or 100,000 of the ledger.",
    ),
    click.option("--stop", is_flag=True, help="Stop the demo's servers and remove their folder."),
    click.option(
        "--folder",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder of the servers. Default: windlass/demo in ~/.local/share or $XDG_DATA_HOME;"
        " for root in /var/lib. With --cutover: demo-cutover.",
    ),
)


def takes(*options: Option[Any]) -> Option[Any]:
    """Decorate a command with options, in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def read_spec(
    voice: Voice, flow: str, words: Mapping[str, Any], needs: Sequence[str] | None = None
) -> Any:
    """Read the spec of a command, for this flow. From then on its passwords are never shown.

    Raises:
        BadSpec: with every fault.
    """
    from windlass.flows.specs import load

    options = {name: value for name, value in words.items() if name != "file"}
    return _hidden(voice, load(flow, options, words.get("file"), needs=needs))


def read_any_spec(voice: Voice, words: Mapping[str, Any]) -> SpecModel:
    """The spec in a file, for any flow; without a file, a migration's.

    Raises:
        BadSpec: with every fault.
    """
    from windlass.flows.specs import load, read_any

    options = {name: value for name, value in words.items() if name != "file"}
    file = words.get("file")
    spec = read_any(file, options) if file is not None else load("migrate", options)
    return _hidden(voice, spec)


def _hidden(voice: Voice, spec: SpecModel) -> SpecModel:
    """The spec; from now on its secrets are never shown. The command writes its report, in which
    options are spelled as on the command line."""
    for secret in spec.secrets:
        voice.hide_passwords_of(secret)
    voice.asked_report = spec.report
    return spec.model_copy(update={"report": ""})


# options that may be given with a plan, which has its own: who runs it, how fast, who is notified
BESIDE_A_PLAN = {"source", "target", "file", "jobs", *(one.key for one in EVERY_FLOW)}


def read_reviewed(path: Path, words: dict[str, Any]) -> Reviewed:
    """The plan in a file; its options are added to the words.

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


def read_kept_spec(voice: Voice, file: Path) -> SpecModel:
    """The spec in a file, for any flow, to look at its runs: it needs no database but the one that
    has their journal, and none where they are in a store.

    Raises:
        BadSpec: with every fault.
    """
    from windlass.flows.registry import entries_of, flow_named
    from windlass.flows.specs import flow_of_file

    flow = flow_of_file(file)
    needs = [one.word for one in entries_of(flow_named(flow)).values() if one.flag == "--target"]
    return cast("SpecModel", read_spec(voice, flow, {"file": file}, needs))


def read_where(voice: Voice, words: Mapping[str, Any]) -> str | SpecModel:
    """Where the runs are recorded: a target, from the options or a spec file; or, for a flow
    without a journal in a database, its spec.

    Raises:
        BadSpec: with every fault.
    """
    from windlass.flows.registry import entries_of, flow_named
    from windlass.flows.specs import flow_of_file

    file = words.get("file")
    if words.get("to"):
        return cast("SpecModel", read_spec(voice, "export", {**words, "target": None}, []))
    flow = flow_of_file(file) if file is not None else "migrate"
    written = [one for one in entries_of(flow_named(flow)).values() if one.flag == "--target"]
    if not written:  # the runs are in its store, so its databases are not needed
        return cast("SpecModel", read_spec(voice, flow, words, []))
    spec = read_spec(voice, flow, words, [one.word for one in written])
    secret: str = spec.written_database.get_secret_value()
    return secret
