"""The page on other engines: a section for each benchmark that has been run."""

from collections.abc import Sequence

from bench.pages.markdown import (
    document,
    made_from,
    median_column,
    seconds_column,
    sections_by_group,
    span_column,
)
from bench.result import Metric, Result

HEAD = """\
# Other engines

Whole migrations: reading the catalog, scanning every row for types that hold all values, copying,
keys and indexes, statistics and, if the case says so, the comparison of every row. The time
includes the start of the program. After every run, sums over the rows are compared; a run with
wrong rows gets no figures.
"""

SECTIONS = {
    "engines-sqlite": (
        "SQLite into PostgreSQL",
        "On two cores. pgloader compares nothing, and makes `real` of doubles: their last digits"
        "\nare lost, which the sums allow for.",
    ),
    "engines-into-sqlite": (
        "PostgreSQL into SQLite",
        "On two cores. All make the same table, with its primary key and two indexes. The others"
        "\ncheck no value, and keep no journal; a time becomes the text that each of them writes.",
    ),
    "engines-memory": (
        "Memory into DuckDB, by the number of rows",
        "DuckDB works in the process of Windlass, so its memory is shown. Rows need no more,"
        "\nhowever many there are. An index has to fit into memory while it is built: 9 to 50 bytes"
        "\nfor each row, by its columns' types. The peak is that of the largest index.",
    ),
    "engines-jobs": (
        "One table into MariaDB, by the number of jobs",
        "On two cores, which both servers share with the program: Python writes the lines of all"
        "\nchunks in one process.",
    ),
    "engines-mariadb": (
        "MariaDB into PostgreSQL",
        "On two cores, which both servers share with the program. dlt moves rows into tables that"
        "\nit makes without keys, by the backend that is fastest here (ConnectorX, Arrow), as CSV.",
    ),
    "engines-values": (
        "Values that are hard to move",
        "Each type (`bench/values.py`) is a separate table, moved in a separate run with the"
        "\ndefaults of the tool. Right: the run succeeded, and a type of PostgreSQL shows the same"
        "\nvalue. Refused: the run failed, or asked a person; of pgloader, whose exit status is 0"
        "\neven then, an error in its log. Silently wrong: the run succeeded, and the value is"
        "\nanother one, or missing. Of values that PostgreSQL does not have (zero dates, texts with"
        "\nNUL) only a refusal is no error.",
    ),
}


def render(results: Sequence[Result]) -> str:
    sections = sections_by_group(
        results,
        SECTIONS,
        seconds_column(),
        span_column(Metric.SECONDS, 1),
        median_column(Metric.ROWS_PER_SECOND, 0),
        median_column(Metric.CPU_SECONDS, 1),
        median_column(Metric.PEAK_MB, 0),
        median_column(Metric.VALUES_RIGHT, 0),
        median_column(Metric.VALUES_REFUSED, 0),
        median_column(Metric.VALUES_WRONG, 0),
        head=lambda group: group,
    )
    return document(HEAD, made_from(results), *sections)
