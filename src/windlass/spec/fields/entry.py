"""One option of a spec as plain data, from which everything that users see of it is generated.

The pydantic models, the command line, Airflow's forms, the example spec file, its JSON schema and
the command reference read these entries. So a new option of a flow is one entry in the flow's table
beside this module, one line in the model, and its implementation.

The line in the model (``jobs: int = field("jobs")``) has the one thing that is not here, the type.
A model generated from the tables at run time would need no line, but mypy would not know
`spec.jobs`; a table with types would have to import pydantic, and so would every ``--help``. A test
compares the two, so neither can exist without the other.

Nothing heavy is imported here: no pydantic, no click.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Kind(Enum):
    """The form of an option's value."""

    TEXT = "text"
    NUMBER = "number"
    SIZE = "size"  # 64MB
    FLAG = "flag"
    CHOICE = "choice"
    LIST = "list"  # on the command line an option that may be repeated
    PAIRS = "pairs"  # OLD=NEW
    OTHER = "other"  # only possible in a file


class Required(Enum):
    """The default of a required option."""

    REQUIRED = "required"


REQUIRED = Required.REQUIRED


class Section(Enum):
    """A section of a form."""

    DATABASES = "Databases"
    WHAT = "What"
    HOW = "How"
    PROOF = "Proof"


@dataclass(frozen=True, slots=True)
class Option:
    """How the command line spells an option."""

    metavar: str | None = None
    letter: str = ""  # of the short form, such as -j
    flag: str = ""  # if it differs from the word
    empty: bool = False  # of pairs: whether the second may be empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An option, with everything except its type.

    `help` is for the command line, `about` for files and editors, where there is room for more.
    `compares`: it also applies to `windlass verify`, whose help is `comparing` if it differs; other
    options are accepted there without effect, and not listed in help.
    """

    word: str
    kind: Kind
    help: str
    example: str  # in YAML
    about: str = ""
    default: Any = None  # or a function that makes it
    choices: tuple[str, ...] = ()
    bounds: tuple[int | None, int | None] = (None, None)  # minimum and maximum
    section: Section = Section.WHAT
    option: Option | None = Option()  # None: only in a file
    variable: str = ""  # of the environment, if the option is not given
    compares: bool = False
    comparing: str = ""
    # Whether a stopped run is resumed only if this is the same: who runs it, how fast, and which
    # losses it accepts do not identify a run.
    tells_runs_apart: bool = True
    in_example: bool = False  # as it is, while others are comments

    @property
    def key(self) -> str:
        """The option as a Python identifier."""
        return self.word.replace("-", "_")

    @property
    def flag(self) -> str:
        """The option of the command line."""
        return (self.option and self.option.flag) or f"--{self.word}"

    @property
    def text(self) -> str:
        """The longer description."""
        return self.about or self.help


EVERY_FLOW = (
    Entry(
        word="report",
        kind=Kind.TEXT,
        help="Write a report of the run into FILE, as one HTML page; also if it fails.",
        about="File for a report of the run, as one HTML page that needs nothing else. It is"
        " written however the run ends.",
        compares=True,
        example="/var/tmp/windlass.html",
        default="",
        section=Section.HOW,
        option=Option(metavar="FILE"),
        tells_runs_apart=False,
    ),
    Entry(
        word="metrics-file",
        kind=Kind.TEXT,
        help="Write metrics of the run to FILE, for Prometheus' textfile collector (*.prom).",
        about="File for metrics of the run, in Prometheus' text format, as node-exporter's textfile"
        " collector reads it (`*.prom`). Metrics of other runs in it are kept.",
        compares=True,
        example="/var/lib/prometheus/node-exporter/windlass.prom",
        default="",
        section=Section.HOW,
        option=Option(metavar="FILE"),
        tells_runs_apart=False,
    ),
    Entry(
        word="pushgateway",
        kind=Kind.TEXT,
        help="Push metrics of the run to a Prometheus Pushgateway; the login is in"
        " $WINDLASS_PUSHGATEWAY_USER and _PASSWORD, or _TOKEN.",
        about="URL of a Prometheus Pushgateway, to which metrics of the run are pushed. The login"
        " is in the environment: WINDLASS_PUSHGATEWAY_USER and WINDLASS_PUSHGATEWAY_PASSWORD, or"
        " WINDLASS_PUSHGATEWAY_TOKEN.",
        compares=True,
        example="http://pushgateway.example.com:9091",
        default="",
        section=Section.HOW,
        option=Option(metavar="URL"),
        tells_runs_apart=False,
    ),
    Entry(
        word="metrics-name",
        kind=Kind.TEXT,
        help="Label `name` of these metrics, to tell several specs for the same databases apart.",
        about="The label `name` of these metrics, to tell several specs for the same databases"
        " apart.",
        compares=True,
        example="nightly",
        default="",
        section=Section.HOW,
        option=Option(metavar="NAME"),
        tells_runs_apart=False,
    ),
)
"""The options that every flow has without naming them; they come last."""


class Entries(Mapping[str, Entry]):
    """A flow's entries by name, in display order, and those of every flow."""

    def __init__(self, *entries: Entry) -> None:
        self._by_word = {entry.word: entry for entry in (*entries, *EVERY_FLOW)}

    def __getitem__(self, word: str) -> Entry:
        return self._by_word[word]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_word)

    def __len__(self) -> int:
        return len(self._by_word)
