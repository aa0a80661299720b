"""How a command prints: for people or for programs, how much, and never a secret.

Results go to stdout; progress, warnings and errors to stderr. Under ``--json`` stdout holds
exactly one object, whatever happens.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import click

from windlass.cli.spelling import as_option
from windlass.model.hiding import SHORTEST_SECRET, mask, mask_word, secrets_in
from windlass.model.text import coloured, json_text
from windlass.model.wording import spelled
from windlass.progress.wrapping import WIDEST, width_of


@dataclass(slots=True)
class Voice:
    """How one command prints, by its arguments."""

    arguments: tuple[str, ...] = ()
    json: bool = False
    quiet: bool = False
    verbosity: int = 0
    before_result: Callable[[], None] = lambda: None
    asked_report: str = ""  # the file of the spec's word `report`
    report: Path | None = None  # the same, of a command that runs a flow
    _secrets: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Voice:
        """The voice for these arguments. They are read before click does it, because click's own
        errors must be printed in the right way too."""
        short = "".join(word[1:] for word in arguments if re.fullmatch(r"-[qv]+", word))
        voice = cls(
            tuple(arguments),
            json="--json" in arguments or _asks_for_json(arguments),
            quiet="q" in short or "--quiet" in arguments,
            verbosity=short.count("v") + arguments.count("--verbose"),
        )
        voice.hide(environment.get("PGPASSWORD", ""))
        for text in (*arguments, *(environment.get(f"WINDLASS_{s}", "") for s in _SIDES)):
            voice.hide(*secrets_in(text))
        return voice

    def hide(self, *secrets: str) -> None:
        """Never print these from now on."""
        self._secrets.update(secret for secret in secrets if len(secret) >= SHORTEST_SECRET)

    def hide_passwords_of(self, *connections: str) -> None:
        for connection in connections:
            self.hide(*secrets_in(connection))

    def masked(self, text: str) -> str:
        return mask(text, tuple(self._secrets))

    @property
    def width(self) -> int:
        if not sys.stdout.isatty():
            return 100
        return min(shutil.get_terminal_size().columns, WIDEST)

    @property
    def aside_width(self) -> int:
        """The width of the terminal on stderr; without a terminal, lines are not wrapped."""
        return width_of(sys.stderr)

    def command(self, verb: str = "", *more: str) -> str:
        """The command line to run next: the same options with another verb, without secrets."""
        words = list(self.arguments)
        if verb:
            own = {"--report"} if more else set()  # another act would replace what it has written
            kept = _without(words[1:], {*more, *_OF_ONE_COMMAND}, {*_WITH_VALUE, *own})
            words = [verb, *kept, *more]
        return shlex.join(["windlass", *map(mask_word, words)])

    def planned_command(self, plan: Path) -> str:
        """The command that runs a plan written into a file, between the same two databases."""
        return self._with_own(
            ["migrate", "--plan", str(plan)], ("--source", "--target", "--file", "-f")
        )

    def rollback_command(self, run: str) -> str:
        """The command that undoes a run on this command's target."""
        return self._with_own(["rollback", run], ("--target", "--to", "--file", "-f"))

    def _with_own(self, words: Sequence[str], options: Collection[str]) -> str:
        """A command line, plus those options of this command that it needs."""
        found = ["windlass", *words]
        for word, value in pairwise((*self.arguments, "")):
            name, equals, _ = word.partition("=")
            if name in options:
                found += [word] if equals else [word, value]
        return shlex.join(map(mask_word, found))

    def result(self, text: str, *, nl: bool = True) -> None:
        """Print to stdout. A reader that has gone (``| head``) does not change how the run
        ended."""
        try:
            click.echo(coloured(spelled(text, as_option)), nl=nl and not text.endswith("\n"))
            if nl:
                sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def page(self, html: str) -> None:
        """Print a page to stdout, as it is: it escapes what is in it."""
        try:
            sys.stdout.write(html)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def result_json(self, document: Mapping[str, object], **long: Iterable[str]) -> None:
        """One object on stdout. `long` replaces keys by arrays of what is JSON already, which may
        be longer than fits in memory."""
        ends = {key: os.urandom(16).hex() for key in long}
        text = json_text(json.dumps({**document, **ends}, indent=2, ensure_ascii=False))
        for key, end in ends.items():
            before, _, text = text.partition(f'"{end}"')
            self.result(f"{before}[", nl=False)
            for at, item in enumerate(long[key]):
                self.result(f"{',' if at else ''}\n    {item}", nl=False)
            text = f"\n  ]{text}"
        self.result(text)

    def aside(self, text: str) -> None:
        """Print to stderr: everything except the result."""
        with suppress(OSError):  # nobody reads stderr any more, which is no reason to stop
            click.echo(coloured(self.masked(spelled(text, as_option))), err=True)


# options that ask for something other than the command itself, or apply to only one command
_OF_ONE_COMMAND = {"--restart", "--dry-run", "--json", "--quiet", "--verbose"}
_SIDES = ("SOURCE", "TARGET")


def _asks_for_json(arguments: Sequence[str]) -> bool:
    return "--format=json" in arguments or ("--format", "json") in pairwise(arguments)


_WITH_VALUE = {"--format", "--output", "-o"}  # likewise


def _without(words: Sequence[str], flags: set[str], valued: set[str]) -> list[str]:
    """The words without those flags, those options with their values, ``-q`` and ``-v``."""
    kept: list[str] = []
    before = ""
    for word in words:
        name, equals, _ = word.partition("=")
        if not (
            word in flags
            or {word, before} & valued
            or (equals and name in valued)
            or re.fullmatch(r"-[qv]+", word)
        ):
            kept.append(word)
        before = word
    return kept
