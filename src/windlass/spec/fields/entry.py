"""One word of a spec as plain data, from which everything that users see of it is made.

The pydantic models, the options of the command line, Airflow's forms, the example of a spec file,
its JSON schema and the command reference read these entries. So a new option of a flow is one entry
in the flow's table beside this module, its line in the model, and what it does.

The line in the model (``jobs: int = field("jobs")``) holds the one thing that is not here, the
type. A model made from the tables at run time would need no line, and mypy would know nothing of
`spec.jobs`; a table with types in it would have to import pydantic, and every ``--help`` with it. A
test compares the two, so neither can be there without the other.

Nothing heavy is imported here: no pydantic, no click.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Kind(Enum):
    """How a word is given."""

    TEXT = "text"
    NUMBER = "number"
    SIZE = "size"  # 64MB
    FLAG = "flag"
    CHOICE = "choice"
    LIST = "list"  # on the command line an option that is given several times
    PAIRS = "pairs"  # OLD=NEW
    OTHER = "other"  # what only a file can hold


class Required(Enum):
    """The default of what has none."""

    REQUIRED = "required"


REQUIRED = Required.REQUIRED


class Section(Enum):
    """Of a form."""

    DATABASES = "Databases"
    WHAT = "What"
    HOW = "How"
    PROOF = "Proof"


@dataclass(frozen=True, slots=True)
class Option:
    """How the command line takes a word."""

    metavar: str | None = None
    letter: str = ""  # of the short form, such as -j
    flag: str = ""  # where it is not the word


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A word, and all that is known of it but for its type.

    `help` is for the command line, `about` for files and editors where more is to be said.
    `compares`: it matters to `windlass verify` too, where `comparing` is its help if another one is
    needed; what does not matter there is taken and has no effect, and help does not list it.
    """

    word: str
    kind: Kind
    help: str
    example: str  # in YAML
    about: str = ""
    default: Any = None  # or a function that makes it
    choices: tuple[str, ...] = ()
    bounds: tuple[int | None, int | None] = (None, None)  # the least and the most
    section: Section = Section.WHAT
    option: Option | None = Option()  # None: only in a file
    variable: str = ""  # of the environment, where the word is not given
    compares: bool = False
    comparing: str = ""
    # Whether a run that stopped is resumed only if this is the same: who runs it, how fast and what
    # it may pass over is not part of what it is.
    tells_runs_apart: bool = True
    in_example: bool = False  # as it is, where others are comments

    @property
    def key(self) -> str:
        """The word as a key of Python's."""
        return self.word.replace("-", "_")

    @property
    def flag(self) -> str:
        """The option of the command line."""
        return (self.option and self.option.flag) or f"--{self.word}"

    @property
    def text(self) -> str:
        """What it is, where there is room."""
        return self.about or self.help


class Entries(Mapping[str, Entry]):
    """A flow's entries by their words, in the order in which people read them."""

    def __init__(self, *entries: Entry) -> None:
        self._by_word = {entry.word: entry for entry in entries}

    def __getitem__(self, word: str) -> Entry:
        return self._by_word[word]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_word)

    def __len__(self) -> int:
        return len(self._by_word)
