"""The commands `plan`, `migrate` and `verify`. They need the options of migrations alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from windlass.cli import options
from windlass.cli.program import windlass
from windlass.cli.results import report_outcome, report_plan
from windlass.cli.running import run_watched
from windlass.cli.voice import Voice
from windlass.flows.registry import comparison_of, flow_named

if TYPE_CHECKING:
    from windlass.model.event import Emit
    from windlass.model.outcome import Outcome
    from windlass.spec.migrate import Spec
    from windlass.spec.model import SpecModel


@windlass.command()
@options.takes(*options.MOVE)
@click.option(
    "--format",
    "form",
    type=click.Choice(options.FORMATS),
    default="text",
    show_default=True,
    help="Format of the plan.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the plan into FILE, as JSON. For a migration, `migrate --plan FILE` runs exactly"
    " that plan.",
)
@options.takes(*options.OUTPUT)
@click.pass_obj
def plan(voice: Voice, /, form: str, output: Path | None, **words: Any) -> int:
    """Show what a run would do, and write nothing.

    Plans a migration, or the flow of the spec file. For a migration it prints every table and
    column, the statements that would run, sizes, chunks and their order, an estimate of the time,
    every loss and every problem. With -q it ends with the list of tables. For an unfinished run it
    shows what is left to do.
    """
    return show_plan(voice, options.read_any_spec(voice, words), form, output)


def show_plan(voice: Voice, spec: SpecModel, form: str = "text", output: Path | None = None) -> int:
    """What a run with this spec would do."""
    from windlass import api
    from windlass.cli.watch import watching
    from windlass.errors import AlreadyFinished

    flow = flow_named(spec.flow)
    try:
        with watching(voice, flow.words.opening) as emit:
            made = api.plan(spec, emit)
    except AlreadyFinished as finished:
        return report_outcome(voice, finished.outcome, flow.words)
    return report_plan(voice, made, flow.words.verb, form, output)


@windlass.command()
@options.takes(*options.MOVE)
@click.option(
    "--plan",
    "plan_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Run the plan in FILE, which `windlass plan -o FILE` wrote, with its options; refused if"
    " the plan would be different now.",
)
@options.takes(options.RESTART)
@options.takes(options.DIFFERENCES, *options.OUTPUT)
@click.pass_obj
def migrate(
    voice: Voice,
    /,
    restart: bool,
    plan_file: Path | None,
    differences: Path | None,
    **words: Any,
) -> int:
    """Migrate a database, or resume a migration that stopped.

    Reads the source in one snapshot, copies tables in parallel, builds indexes and constraints, and
    verifies. After a kill at any moment, the same command resumes, with the same result.
    """
    if plan_file and restart:
        hint = "undo the unfinished run with windlass rollback first, then plan again"
        raise click.UsageError(f"--restart cannot keep to the plan of a file: {hint}")
    reviewed = options.read_reviewed(plan_file, words) if plan_file else None
    spec = options.read_spec(voice, "migrate", words)
    from windlass import api
    from windlass.cli.differing import differing

    with differing(differences) as rows:

        def run(emit: Emit) -> Outcome:
            return api.migrate(spec, emit, restart=restart, differing=rows, reviewed=reviewed)

        return run_watched(voice, spec.flow, run, rows, repairs=not spec.mapping)


@windlass.command()
@options.takes(*options.VERIFICATION)
@click.option(
    "--repair",
    metavar="[KINDS]",
    is_flag=False,
    flag_value="update,insert,delete",
    help="Ask, make the target match the source, and verify again. KINDS, such as insert,update,"
    " allows only these changes. Old rows are set aside; `windlass rollback` puts them back.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--show-values", is_flag=True, help="Show differing values, not only their columns.")
@options.takes(options.DIFFERENCES, *options.OUTPUT)
@click.pass_obj
def verify(
    voice: Voice,
    /,
    repair: str | None,
    yes: bool,
    show_values: bool,
    differences: Path | None,
    **words: Any,
) -> int:
    """Compare two databases: whether they are equal, and if not, where they differ.

    Writes nothing, unless --repair is given. All options of migrate are accepted; those that only
    apply to a migration have no effect. Differences end with exit code 1.
    """
    spec = options.read_spec(voice, "migrate", words)
    from windlass import api
    from windlass.cli.asking import repairing
    from windlass.cli.differing import differing

    with differing(differences) as rows:

        def run(emit: Emit) -> Outcome:
            how = repairing(voice, emit, repair, yes=yes) if repair is not None else None
            return api.verify(
                _verifying(spec), emit, repair=how, show_values=show_values, differing=rows
            )

        flow = comparison_of(spec.flow).name
        repairs = not spec.mapping and not spec.follow
        return run_watched(voice, flow, run, rows, repairs=repairs, follows=spec.follow)


def _verifying(spec: Spec) -> Spec:
    """A spec file may say that a migration verifies nothing; this command always does."""
    from windlass.spec.choices import Verify

    if spec.verify_ is Verify.NONE:
        return spec.model_copy(update={"verify_": Verify.FULL})
    return spec
