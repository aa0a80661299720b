"""The commands that end a run that follows: `finish` and `abandon`."""

from __future__ import annotations

from typing import Any

import click

from windlass.cli import options
from windlass.cli.faults import AllFaults
from windlass.cli.reports import open_report
from windlass.cli.results import report_outcome
from windlass.cli.voice import Voice


@click.command(cls=AllFaults)
@options.takes(*options.ENDING)
@click.pass_obj
def finish(voice: Voice, /, run: str, yes: bool, **words: Any) -> int:
    """Finish a run that follows, after its cutover; name the RUN if there are several.

    Asks, removes slots, publications and everything else that it needed from both servers, and
    checks that nothing is left. After that there is no way back to the source.
    """
    return _end(voice, "finish", run, words, yes=yes)


@click.command(cls=AllFaults)
@options.takes(*options.ENDING)
@click.pass_obj
def abandon(voice: Voice, /, run: str, yes: bool, **words: Any) -> int:
    """Give up a run that follows, before its cutover; name the RUN if there are several.

    Asks, removes slots, publications and everything else that it needed from both servers, and
    checks that nothing is left. The source is then as before. The target keeps its copy, which
    `windlass rollback` removes.
    """
    return _end(voice, "abandon", run, words, yes=yes)


def _end(voice: Voice, verb: str, run: str, words: dict[str, Any], *, yes: bool) -> int:
    from windlass import api
    from windlass.cli import runs
    from windlass.cli.asking import ending_question
    from windlass.cli.watch import watching
    from windlass.flows.registry import ABANDON, FINISH

    spec = options.read_spec(voice, "migrate", words)
    open_report(voice)
    about = FINISH if verb == "finish" else ABANDON
    act = api.finish if verb == "finish" else api.abandon
    with watching(voice, about.opening) as emit:
        outcome = act(spec, run, emit, ask=ending_question(emit, yes=yes))
    if voice.report is not None:
        runs.write_ended_report(voice, spec, outcome)
        voice.report = None
    return report_outcome(voice, outcome, about)
