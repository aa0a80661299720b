"""Results as text: tables in markdown for the terminal and the page, plain data for JSON."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

from bench.cases import CASES, CONTESTANTS, Case, Row
from bench.contestants import Command
from bench.data import Scale
from bench.race import Results

NOTES_BEGIN = "<!-- notes: kept when the page is written again -->"
NOTES_END = "<!-- end of notes -->"

HEAD = """\
# Benchmarks

Every contestant is a whole process that copies a whole database into an empty one: schema, rows,
indexes, constraints and statistics; only case `keyset` measures rows alone. Source and target are
two servers on one machine with equal settings, reached over TCP. Both checkpoint before every run,
and the order rotates. After every run the rows of each relation (count and fingerprint), its
indexes, constraints, sequences and statistics are compared with the source's; an incomplete copy
gets no figures.
"""

METHOD = """\
## What the figures mean

Every peer gets its own best way to gather statistics, within its time: pgcopydb does so unasked,
the others are followed by vacuumdb.

Client CPU is what the kernel accounts to all processes of the contestant. Client memory is the
sum of what they hold, looked at twenty times a second; a page that two processes share counts
twice. The servers are in neither. Megabytes are millions of bytes.

The floor is what the servers alone must spend: COPY to nowhere on the source, COPY from a file
and building indexes and constraints on the target, one after another, divided by the number of
cores. Statistics are not in it.

Case `keyset` measures the rows of `pgbench_accounts` and `events`, moved into tables that are there
already, without indexes; what else the copy needs is added before and after, unmeasured. The
earlier method is `bench/keyset.py`, written from the description of a published Airflow pipeline:
pages of 100,000 rows in the order of the key, fetched whole, made CSV text by Python, loaded by
COPY. It is one stream, without Airflow's own time, so the figure to reach is for one stream. All
move the same rows, so the ratio of seconds, turned round, is that of rows/s.
"""

REPEATING = """\
`make bench` repeats all of it: it makes the servers and the data in the folder for temporary
files, which needs about 40 GB of room, and removes them. It needs Debian's postgresql-15 and
pgcopydb, and a machine with nothing else to do.
"""

ONLY_SMALL = """\
**Made with `--scale small`, a fraction of the data named below: the figures say nothing.**
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A row with what was measured; `ratio` is the case's subject divided by this entry."""

    row: Row
    values: list[float]
    ratio: float | None

    def verdicts(self) -> list[bool]:
        """Whether each figure to reach was reached, as far as there are figures."""
        own = median(self.values) if self.values else None
        pairs = (
            (own, self.row.at_most),
            (self.ratio, self.row.ratio_at_most),
            (self.row.ratio_at_least, self.ratio),
        )
        return [low <= high for low, high in pairs if low is not None and high is not None]


def read_lines(case: Case, results: Results) -> list[Line]:
    """The lines of `case` whose entries took part."""
    subject = results.values(case.subject, case.metric)
    lines = []
    for row in case.rows:
        values = results.values(row.entry, case.metric)
        if values or row.entry in results.failures:
            compared = subject and values and row.entry != case.subject
            lines.append(Line(row, values, median(subject) / median(values) if compared else None))
    return lines


def is_all_reached(cases: tuple[Case, ...], results: Results) -> bool:
    """Whether nothing failed and every figure to reach was reached."""
    lines = (line for case in cases for line in read_lines(case, results))
    return not results.failures and all(all(line.verdicts()) for line in lines)


def results_text(cases: tuple[Case, ...], results: Results, scale: Scale) -> str:
    """Those of `cases` in which anybody took part, one after another."""
    shown = [(case, lines) for case in cases if (lines := read_lines(case, results))]
    warning = [ONLY_SMALL] if scale is Scale.SMALL else []
    texts = (_case_text(case, lines, results, scale) for case, lines in shown)
    return "\n".join([*warning, *texts])


def _case_text(case: Case, lines: list[Line], results: Results, scale: Scale) -> str:
    """A heading, the data, the table. Why something failed is in the log, not on a page."""
    datasets = dict.fromkeys(line.row.entry.dataset for line in lines)
    sizes = (f"{d.title} ({results.source_bytes[d] / 1e6:,.0f} MB)" for d in datasets)
    moved = case.moved_rows[scale] if case.moved_rows else None
    rate = ["rows/s"] if moved else []
    ratio = f"{case.label(case.subject)} / this"
    head = ["contestant", case.metric.value, "min-max", *rate, ratio, "to reach", "reached"]
    table = [_cells(case, line, moved) for line in lines]
    return "\n".join(
        [
            f"## {case.title} (`{case.name}`)\n",
            f"Data: {'; '.join(sizes)}.\n",
            _table(head, table),
        ]
    )


def _cells(case: Case, line: Line, moved_rows: int | None) -> list[str]:
    row = line.row
    rate = [f"{moved_rows / median(line.values):,.0f}" if line.values else ""] if moved_rows else []
    bounds = [f"at most {_figure(row.at_most)}"] if row.at_most is not None else []
    bounds += [f"ratio at most {row.ratio_at_most:.2f}"] if row.ratio_at_most is not None else []
    bounds += [f"ratio at least {row.ratio_at_least:.2f}"] if row.ratio_at_least is not None else []
    return [
        case.label(row.entry),
        _figure(median(line.values)) if line.values else "**failed**",
        f"{_figure(min(line.values))}-{_figure(max(line.values))}" if line.values else "",
        *rate,
        f"{line.ratio:.2f}" if line.ratio is not None else "",
        ", ".join(bounds),
        ", ".join("yes" if verdict else "**no**" for verdict in line.verdicts()),
    ]


def _figure(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    ruler = ["-" * width for width in widths]
    return "".join(
        "| " + " | ".join(map(str.ljust, cells, widths)) + " |\n" for cells in (head, ruler, *rows)
    )


def write_page(
    path: Path, results: Results, machine: dict[str, str], scale: Scale, repeat: int
) -> None:
    """Write the page anew, but for the notes that people wrote between the two marks."""
    written = path.read_text() if path.exists() else ""
    notes = written.partition(NOTES_BEGIN)[2].partition(NOTES_END)[0] or "\n"
    commands = (
        f"{c.title}:\n\n```sh\n{c.script}\n```\n" for c in CONTESTANTS if isinstance(c, Command)
    )
    measured = f"Measured on {date.today():%d %B %Y}. Figures are medians of {repeat} runs.\n"
    parts = [
        HEAD,
        measured,
        _table(["machine", ""], [[name, value] for name, value in machine.items()]),
        results_text(CASES, results, scale),
        METHOD,
        "## Contestants\n",
        *commands,
        "## Repeating it\n",
        REPEATING,
        "## Notes\n",
        f"{NOTES_BEGIN}{notes}{NOTES_END}\n",
    ]
    path.write_text("\n".join(parts))


def as_data(results: Results, machine: dict[str, str], scale: Scale) -> dict[str, object]:
    """Every single measurement, for programs."""
    return {
        "machine": machine,
        "date": date.today().isoformat(),
        "scale": scale.value,
        "source_bytes": {d.name: size for d, size in results.source_bytes.items()},
        "runs": [
            {
                "dataset": entry.dataset.name,
                "contestant": entry.contestant.name,
                **{metric.name.lower(): results.values(entry, metric) for metric in figures[0]},
            }
            for entry, figures in results.figures.items()
        ],
        "failures": [
            {"dataset": entry.dataset.name, "contestant": entry.contestant.name, "error": error}
            for entry, error in results.failures.items()
        ],
    }
