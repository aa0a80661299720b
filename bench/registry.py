"""All benchmarks, and the page on which each is shown."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`function` is an import path; nothing is imported before a benchmark runs.

    `needs` are programs beyond PostgreSQL's; `never_run` says why there is no result yet.
    """

    name: str
    title: str
    page: str
    function: str
    repeat: int = 3
    needs: tuple[str, ...] = ()
    uses_servers: bool = True
    never_run: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A file in `docs/`, and the import path of what renders it from its benchmarks' results."""

    file: str
    function: str

    @property
    def benchmarks(self) -> tuple[Benchmark, ...]:
        return tuple(one for one in BENCHMARKS if one.page == self.file)


_COPYING = "benchmarks.md"
_LOADING = "benchmarks-load.md"
_FOLLOWING = "benchmarks-following.md"
_ENGINES = "benchmarks-engines.md"
_PEERS = ("pgcopydb", "pg_restore", "psql")

BENCHMARKS = (
    Benchmark(
        "mixed",
        "a whole database, against pgcopydb and pg_dump",
        _COPYING,
        "bench.benchmarks.copying:mixed",
        needs=_PEERS,
    ),
    Benchmark(
        "keyset",
        "rows alone, against pages of rows through Python",
        _COPYING,
        "bench.benchmarks.copying:keyset",
    ),
    Benchmark(
        "toast",
        "large values, against pgcopydb and pg_dump",
        _COPYING,
        "bench.benchmarks.copying:toast",
        needs=_PEERS,
    ),
    Benchmark(
        "small",
        "many small relations, against pgcopydb and pg_dump",
        _COPYING,
        "bench.benchmarks.copying:small",
        needs=_PEERS,
    ),
    Benchmark(
        "memory",
        "client memory, by the number of rows",
        _COPYING,
        "bench.benchmarks.copying:memory",
    ),
    Benchmark(
        "airflow",
        "what Airflow adds to a migration",
        "benchmarks-airflow.md",
        "bench.benchmarks.airflow:measure_airflow",
    ),
    Benchmark(
        "rewrite",
        "a rewrite in place, against pandas",
        "benchmarks-rewrite.md",
        "bench.benchmarks.rewrite:measure_rewrites",
    ),
    Benchmark(
        "export",
        "an export, against COPY and row-by-row CSV",
        "benchmarks-export.md",
        "bench.benchmarks.export:measure_exports",
        needs=("psql",),
    ),
    Benchmark(
        "load-append",
        "a CSV file appended to a table, against psql",
        _LOADING,
        "bench.benchmarks.load_append:measure_append",
        repeat=2,
        needs=("psql",),
    ),
    Benchmark(
        "load-merge",
        "changed rows merged into a table, against dlt and Django",
        _LOADING,
        "bench.benchmarks.load_merge:measure_merge",
        repeat=2,
        needs=("psql",),
    ),
    Benchmark(
        "load-memory",
        "client memory of loads into PostgreSQL, by the number of rows",
        _LOADING,
        "bench.benchmarks.load_memory:measure_postgres",
        repeat=1,
        needs=("psql",),
    ),
    Benchmark(
        "load-duckdb",
        "memory of loads into DuckDB, by the number of rows",
        _LOADING,
        "bench.benchmarks.load_memory:measure_duckdb",
        repeat=1,
        needs=("psql",),
    ),
    Benchmark(
        "load-files",
        "JSON lines and Parquet loaded, beside dlt and DuckDB",
        _LOADING,
        "bench.benchmarks.load_files:measure_files",
        repeat=1,
        needs=("psql",),
    ),
    Benchmark(
        "engines-sqlite",
        "a SQLite file into PostgreSQL, against pgloader",
        _ENGINES,
        "bench.benchmarks.engines:measure_sqlite",
        needs=("pgloader",),
    ),
    Benchmark(
        "engines-into-sqlite",
        "a PostgreSQL table into a SQLite file, beside DuckDB and sqlite3's import",
        _ENGINES,
        "bench.benchmarks.into_engines:measure_into_sqlite",
        needs=("psql", "sqlite3"),
    ),
    Benchmark(
        "engines-memory",
        "client memory of migrations into DuckDB, by the number of rows",
        _ENGINES,
        "bench.benchmarks.engines_memory:measure_memory",
        repeat=1,
        never_run="it needs ten minutes of an idle machine",
    ),
    Benchmark(
        "engines-jobs",
        "one PostgreSQL table into MariaDB in chunks, by the number of jobs",
        _ENGINES,
        "bench.benchmarks.engines_jobs:measure_jobs",
    ),
    Benchmark(
        "engines-mariadb",
        "a MariaDB database into PostgreSQL, against pgloader and dlt",
        _ENGINES,
        "bench.benchmarks.engines_mariadb:measure_mariadb",
        needs=("pgloader",),
    ),
    Benchmark(
        "engines-values",
        "values that are hard to move, by each tool: right, refused, silently wrong",
        _ENGINES,
        "bench.benchmarks.engines_values:measure_values",
        needs=("pgloader",),
        repeat=1,
    ),
    Benchmark(
        "follow-backlog",
        "backlogs drained, beside a native subscription",
        _FOLLOWING,
        "bench.benchmarks.following:measure_backlogs",
        needs=("pgbench", "psql", "pg_dump"),
    ),
    Benchmark(
        "follow-live",
        "writers at full speed, followed",
        _FOLLOWING,
        "bench.benchmarks.following:measure_live",
        needs=("pgbench",),
    ),
    Benchmark(
        "follow-memory",
        "memory of a follower, by the size of one transaction",
        _FOLLOWING,
        "bench.benchmarks.following:measure_memory",
        repeat=1,
        needs=("psql",),
    ),
    Benchmark(
        "follow-copy",
        "a copy with writers, plain and to follow",
        _FOLLOWING,
        "bench.benchmarks.following:measure_copying",
        needs=("pgbench", "psql"),
    ),
    Benchmark(
        "follow-cutover",
        "cutovers and flips back, in the eyes of writers",
        _FOLLOWING,
        "bench.benchmarks.following:measure_cutovers",
        repeat=1,
        needs=("psql",),
    ),
    Benchmark(
        "slow-link",
        "many small relations over a slow link",
        "benchmarks-slow-link.md",
        "bench.benchmarks.slow_link:measure_slow_link",
    ),
    Benchmark(
        "startup",
        "how soon commands start",
        "benchmarks-startup.md",
        "bench.benchmarks.startup:measure_startup",
        repeat=20,
        uses_servers=False,
    ),
    Benchmark(
        "page",
        "how fast the page loads",
        "benchmarks-page.md",
        "bench.benchmarks.page:measure_page",
        repeat=5,
        needs=("chromium",),
    ),
    Benchmark(
        "estimates",
        "what plans estimate, and what migrations take",
        "estimates.md",
        "bench.benchmarks.estimates:measure_estimates",
        repeat=1,
    ),
)

PAGES = (
    Page("benchmarks.md", "bench.pages.copying:render"),
    Page("benchmarks-airflow.md", "bench.pages.airflow:render"),
    Page("benchmarks-rewrite.md", "bench.pages.rewrite:render"),
    Page("benchmarks-export.md", "bench.pages.export:render"),
    Page(_LOADING, "bench.pages.load:render"),
    Page(_FOLLOWING, "bench.pages.following:render"),
    Page(_ENGINES, "bench.pages.engines:render"),
    Page("benchmarks-slow-link.md", "bench.pages.slow_link:render"),
    Page("benchmarks-startup.md", "bench.pages.startup:render"),
    Page("benchmarks-page.md", "bench.pages.page:render"),
    Page("estimates.md", "bench.pages.estimates:render"),
)


def named(name: str) -> list[Benchmark]:
    """The one of this name, or all whose names begin with it: `load` is all of loads."""
    return [one for one in BENCHMARKS if one.name == name or one.name.startswith(f"{name}-")]
