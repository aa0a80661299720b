"""All commands but those of `windlass.cli.migrating`: each reads options, calls one function of the
Python API, reports the result.

Nothing heavy is imported before a command runs: help and mistakes are answered at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from windlass.cli import options
from windlass.cli.ending_commands import abandon, finish
from windlass.cli.exits import Exit
from windlass.cli.migrating import show_plan
from windlass.cli.program import windlass
from windlass.cli.results import report_outcome
from windlass.cli.running import run_watched
from windlass.cli.serving import serve
from windlass.cli.voice import Voice
from windlass.flows.registry import FLOWS, entries_of, flow_named, spec_flows
from windlass.spec.fields.cutover import CUTOVER
from windlass.spec.fields.export import EXPORT
from windlass.spec.fields.load import LOAD
from windlass.version import __version__

__all__ = ["windlass"]  # with its commands

if TYPE_CHECKING:
    from windlass.model.flow import Flow

TO = options.option(EXPORT["to"], help_="Folder of an export, to use the runs recorded there.")


@windlass.command()
@click.argument("run", required=False)
@options.takes(options.TARGET, TO, options.FILE)
@click.option("-w", "--watch", is_flag=True, help="Refresh every two seconds, until Ctrl-C.")
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a report of RUN into FILE, as one HTML page, as far as its journal knows the run.",
)
@options.takes(options.JSON)
@click.pass_obj
def status(voice: Voice, /, run: str | None, watch: bool, report: Path | None, **words: Any) -> int:
    """List the runs in a database and their progress, or show RUN in detail.

    With --to, or the spec file of an export, it lists the runs that are recorded in its store.
    With --watch it refreshes the list until Ctrl-C, or RUN until it ends.
    """
    if report and (watch or not run):
        raise click.UsageError("--report is of one RUN, and goes without --watch")
    where = options.read_where(voice, words)
    from windlass import api
    from windlass.cli import runs
    from windlass.run.runs_text import statuses_text

    if report and run:
        runs.write_past_report(voice, report, api.read_run(where, run))

    def shown() -> tuple[str, bool]:
        if run:
            detail = api.read_run(where, run)
            made = runs.detail_text(detail, rollback=voice.rollback_command, width=voice.width)
            return made, not detail.status.active
        found = api.status(where)
        made = statuses_text(found, rollback=voice.rollback_command, width=voice.width)
        return made, False

    if voice.json:
        voice.result_json(runs.status_json(where, run))
    elif watch:
        from windlass.cli.watch import repeat

        repeat(voice, shown)
    else:
        voice.result(shown()[0])
    return Exit.DONE


@windlass.command()
@click.argument("run")
@options.takes(options.TARGET, TO, options.FILE)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also discard changes that others have made since.")
@click.option(
    "--skip-changed",
    is_flag=True,
    help="For a rewrite: leave rows that others have changed or deleted since, and undo the rest.",
)
@click.option(
    "--into",
    metavar="SCHEMA.TABLE",
    help="For a rewrite: restore its rows in this new table instead, and change nothing else.",
)
@options.takes(*options.OUTPUT)
@click.pass_obj
def rollback(
    voice: Voice,
    /,
    run: str,
    yes: bool,
    force: bool,
    skip_changed: bool,
    into: str | None,
    **words: Any,
) -> int:
    """Undo the run RUN.

    A run of migrate: drops the objects that it created on the target, and puts back those that
    `--existing replace` set aside. A run of verify --repair or rewrite: puts back the old rows.
    It undoes everything or nothing; with very many objects it takes several transactions, and the
    same command finishes it. A run of export, with --to or its spec file: removes the files.
    `windlass status` lists the runs.
    """
    where = options.read_where(voice, words)
    from windlass import api
    from windlass.cli.asking import confirm_rollback
    from windlass.cli.watch import watching
    from windlass.flows.registry import RESTORE, ROLLBACK

    if (into is not None) + force + skip_changed > 1:
        raise click.UsageError("give one of --into, --force and --skip-changed")
    if into is not None:
        with watching(voice, RESTORE.opening) as emit:
            outcome = api.restore(where, run, into, emit)
        return report_outcome(voice, outcome, RESTORE)
    if not yes:
        confirm_rollback(run, api.foresee_rollback(where, run), force=force, skips=skip_changed)
    with watching(voice, ROLLBACK.opening) as emit:
        outcome = api.rollback(where, run, emit, force=force, skip_changed=skip_changed)
    return report_outcome(voice, outcome, ROLLBACK)


windlass.add_command(finish)
windlass.add_command(abandon)
windlass.add_command(serve)


@windlass.command()
@click.argument("run", default="")
@options.takes(options.TARGET, TO, options.FILE)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options.takes(*options.OUTPUT)
@click.pass_obj
def clean(voice: Voice, /, run: str, yes: bool, **words: Any) -> int:
    """Remove what ended runs, or the run RUN, have left in a database.

    Lists the objects that were set aside (schemas with their sizes, renamed objects, copies of
    large objects, backups of rewrites), and asks. Then it drops them and forgets the runs, which
    can no longer be rolled back. Objects that an unfinished run needs stay. With --to, or the spec
    file of an export: removes files of stopped runs that a newer run has replaced.
    """
    where = options.read_where(voice, words)
    from windlass import api
    from windlass.cli.asking import confirm_clean, left_json
    from windlass.cli.watch import watching
    from windlass.run.past_text import left_text

    left = api.read_left(where, run)
    if left and not yes:
        confirm_clean(left)
    with watching(voice, "Removing what was set aside") as emit:
        api.clean(where, left, emit)
    if voice.json:
        voice.result_json(left_json(left))
    else:
        voice.result(left_text(left))
    return Exit.DONE


@windlass.command()
@options.takes(*options.with_file(EXPORT.values()))
@click.option(
    "--run",
    metavar="RUN",
    default="",
    help="Give the run this name, or resume the run of this name.",
)
@options.takes(options.RESTART)
@click.option("--dry-run", is_flag=True, help="Show what would be exported, and write nothing.")
@options.takes(*options.OUTPUT)
@click.pass_obj
def export(voice: Voice, /, run: str, restart: bool, dry_run: bool, **words: Any) -> int:
    """Write tables into an object store, and load them into a warehouse.

    Files are Parquet or CSV below `to`; the warehouse is a DuckDB file, BigQuery, PostgreSQL,
    Snowflake or Iceberg. The source is only read, in one snapshot; see docs/export.md for the spec
    file.
    """
    from windlass import api

    spec = options.read_spec(voice, "export", words)
    if dry_run:
        return show_plan(voice, spec)
    return run_watched(
        voice, "export", lambda emit: api.export(spec, emit, run=run, restart=restart)
    )


@windlass.command()
@click.argument("files", nargs=-1, metavar="[FILE]...")
@options.takes(*options.with_file(LOAD.values()))
@click.option("--dry-run", is_flag=True, help="Show what would be loaded, and change nothing.")
@options.takes(*options.OUTPUT)
@click.pass_obj
def load(voice: Voice, /, files: tuple[str, ...], dry_run: bool, **words: Any) -> int:
    """Load files, URLs and queries into tables that are in use.

    FILE is a path, a URL (https, s3, gs, az, file) or a pattern; CSV, TSV, JSON, Parquet or Excel,
    also compressed. Each table changes in one transaction; `windlass rollback` undoes a run. An
    unchanged input is not loaded again. See docs/load.md for the spec file.
    """
    from windlass import api

    words["from"] = (*files, *words["from"])
    spec = options.read_spec(voice, "load", words)
    if dry_run:
        return show_plan(voice, spec)
    return run_watched(voice, "load", lambda emit: api.load(spec, emit))


@windlass.command()
@options.takes(*options.with_file(CUTOVER.values()))
@click.option("--rehearse", is_flag=True, help="Measure all except the fence, and stop nobody.")
@click.option("--back", is_flag=True, help="Let applications write to the source again.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options.takes(*options.OUTPUT)
@click.pass_obj
def cutover(voice: Voice, /, rehearse: bool, back: bool, yes: bool, **words: Any) -> int:
    """Let applications write to the target of `migrate --follow`, or to the source again.

    Looks for everything that would make it fail, tests the way back, and asks. Then it stops
    writers, waits for their last change, sets sequences, and opens the other side. If that takes
    longer than --max-freeze, it is taken back: exit code 5, and applications write where they did
    before.
    """
    from windlass import api
    from windlass.cli.asking import asking_to_cut_over

    spec = options.read_spec(voice, "cutover", words)
    ask = None if yes or rehearse else asking_to_cut_over(voice)
    return run_watched(
        voice,
        "cutover",
        lambda emit: api.cutover(spec, emit, rehearse=rehearse, back=back, ask=ask),
    )


@windlass.command()
@options.takes(*options.DEMO, *options.OUTPUT)
@click.pass_obj
def demo(voice: Voice, /, cutover: bool, scale: float, stop: bool, folder: Path | None) -> int:
    """Migrate a sample shop between two servers that it starts.

    Starts PostgreSQL 16 and 18, fills the first, migrates it to the second and verifies.
    The servers keep running for you to look at; --stop removes them.

    With --cutover, clients write all the time: it copies and follows, cuts over, goes back, and
    cuts over again. Then it checks that every acknowledged write is there exactly once, and removes
    everything.
    """
    from windlass.cli import demo, demo_cutover

    default, begin, end = (
        (demo_cutover.default_folder, demo_cutover.start, demo_cutover.stop)
        if cutover
        else (demo.default_folder, demo.start, demo.stop)
    )
    folder = folder or default()
    return end(voice, folder) if stop else begin(voice, folder, scale)


@windlass.command()
@click.argument("flow", type=click.Choice([flow.name for flow in spec_flows()]), default="migrate")
@click.option("--schema", is_flag=True, help="Print its JSON schema, for completion in editors.")
@click.pass_obj
def spec(voice: Voice, /, flow: str, schema: bool) -> int:
    """Print an example of a spec file for a flow, migrate by default, with every key explained."""
    if schema:
        from windlass.flows.specs import model_of
        from windlass.spec.schema import json_schema

        voice.result_json(json_schema(model_of(flow)))
    else:
        from windlass.cli.example import example

        voice.result(example(flow))
    return Exit.DONE


@windlass.command("help", hidden=True)
@click.argument("command", required=False)
@click.pass_context
def help_(ctx: click.Context, command: str | None) -> int:
    """Show the help of a command."""
    root = ctx.find_root()
    found = windlass.get_command(root, command) if command else None
    if command and found is None:
        raise click.UsageError(f"no such command '{command}'", root)
    within = click.Context(found, info_name=command, parent=root) if found else root
    click.echo((found or windlass).get_help(within))
    return Exit.DONE


@windlass.command(hidden=True)
def version() -> int:
    """Show the version."""
    click.echo(f"windlass {__version__}")
    return Exit.DONE


def _command_of(flow: Flow[Any]) -> click.Command:
    """The command of a flow that takes only the options of its spec."""

    @options.takes(*options.of_flow(entries_of(flow).values()), *options.OUTPUT)
    @click.pass_obj
    def command(voice: Voice, /, **words: Any) -> int:
        from windlass import api

        spec = options.read_spec(voice, flow.name, words)
        return run_watched(voice, flow.name, lambda emit: api.run_spec(spec, emit))

    return windlass.command(flow.words.verb, help=flow.help)(command)


def _add_flows() -> None:
    """Commands of flows come after `plan`, in the registry's order."""
    for flow in spec_flows():
        if flow.words.verb not in windlass.commands:
            _command_of(flow)
    known = windlass.commands
    verbs = [verb for name in FLOWS if (verb := flow_named(name).words.verb) in known]
    order = dict.fromkeys(["plan", *verbs, *known])
    windlass.commands = {name: known[name] for name in order}


_add_flows()
