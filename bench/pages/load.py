"""The page on loads: a section for each benchmark that has been run."""

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
# Loading

The time of `windlass load` includes checking the input, journaling the run, keeping the old rows
for an undo, and starting the program. Other tools run in their fastest way, except dlt into DuckDB,
which runs with its defaults. After every run, the rows are compared with the expected ones; a run
with wrong rows gets no figures.
"""

SECTIONS = {
    "load-append": (
        "A CSV file appended",
        "Into a table with a primary key and two indexes. All rows are compared by count and"
        "\nfingerprint.",
    ),
    "load-merge": (
        "Changed rows merged",
        """\
Each begins with a copy of the same table with the same three indexes, and gets the same CSV file;
every row of the table is compared at the end. dlt reads the file as Arrow tables with their types
given, and loads by COPY (`loader_file_format="csv"`). Its table has the same indexes, which dlt
itself would not make. Django works in one transaction in batches of 1,000 objects. It gets a
tenth of the rows: what it takes longer than for an empty file is multiplied by ten. By hand, psql
copies the file into an unlogged table, and one UPDATE takes the rows from there: without a journal,
checks, and the old rows.

The equal rows are a file of as many unchanged ones. Dead rows are counted by `pgstattuple`.""",
    ),
    "load-memory": (
        "Memory",
        "The peak of all client processes. The tables have no keys.",
    ),
    "load-duckdb": (
        "Memory, into DuckDB",
        "DuckDB works in the client's process: its memory is in the peak. The tables have no keys.",
    ),
    "load-files": (
        "JSON lines and Parquet",
        """\
Into tables without keys. dlt gets a tenth of the rows: what it takes longer than for one row is
multiplied by ten. Into PostgreSQL it loads by COPY, into DuckDB by its default, which for JSON
lines is INSERTs. DuckDB's own reader is one INSERT, without a journal, checks or a way back; it
infers the types of JSON from its first rows. Sums over every column are compared at the end.""",
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
        median_column(Metric.DEAD_ROWS, 0),
    )
    return document(HEAD, made_from(results), *sections)
