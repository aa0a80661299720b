"""The contestants: windlass and its peers, as the shell commands that a user would type."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.measure import measure
from bench.result import Figures
from bench.shell import environment

PROGRAMS = Path(__file__).parent / "programs"

_PSQL = 'psql -qX -o /dev/null -v ON_ERROR_STOP=1 "$TARGET"'


class Contestant(Protocol):
    """Copies the source into an empty target and returns the measurement."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    def run(self, source: str, target: str, folder: Path) -> Figures:
        """Copy `source` into `target`, both URLs; `folder` is empty and gone afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """A bash script; it reads `$SOURCE`, `$TARGET`, `$WORK` and `$PROGRAMS`."""

    name: str
    title: str
    script: str

    def run(self, source: str, target: str, folder: Path) -> Figures:
        variables = {
            "SOURCE": source,
            "TARGET": target,
            "WORK": str(folder),
            "PROGRAMS": str(PROGRAMS),
        }
        return measure(self.script, environment(folder) | variables, folder)


class RowsAlone(Command):
    """Moves the rows of two relations into tables that are there, without indexes.

    What else the copy needs to be complete is added before and after, and not measured.
    """

    __slots__ = ()

    def run(self, source: str, target: str, folder: Path) -> Figures:
        shell = environment(folder) | {"SOURCE": source, "TARGET": target}
        measure(MAKE_TABLES, shell, folder)
        figures = super().run(source, target, folder)
        measure(ADD_THE_REST, shell, folder)
        return figures


MAKE_TABLES = f'pg_dump --section=pre-data "$SOURCE" | {_PSQL}'
ADD_THE_REST = (
    "pg_dump --section=data --section=post-data "
    "--exclude-table-data=public.pgbench_accounts --exclude-table-data=public.events "
    f'"$SOURCE" | {_PSQL}\n'
    'vacuumdb -q --analyze-only -j2 "$TARGET"'
)


WINDLASS = Command(
    "windlass",
    "windlass",
    script='windlass migrate --source "$SOURCE" --target "$TARGET" --jobs 2 --verify none',
)
WINDLASS_VERIFIED = Command(
    "windlass-verified",
    "windlass, fully verified",
    script='windlass migrate --source "$SOURCE" --target "$TARGET" --jobs 2 --verify full',
)
# clone takes one snapshot and ends with VACUUM ANALYZE of every table.
PGCOPYDB = Command(
    "pgcopydb",
    "pgcopydb",
    script=(
        'pgcopydb clone --source "$SOURCE" --target "$TARGET" --dir "$WORK/pgcopydb" '
        "--table-jobs 2 --index-jobs 2"
    ),
)
# The others leave no statistics behind, so each gets the fastest way to gather them.
DUMP_RESTORE = Command(
    "dump-restore",
    "pg_dump -j2, pg_restore -j2",
    script=(
        'pg_dump -Fd -Z0 -j2 -f "$WORK/dump" "$SOURCE"\n'
        'pg_restore -j2 -d "$TARGET" "$WORK/dump"\n'
        'vacuumdb -q --analyze-only -j2 "$TARGET"'
    ),
)
DUMP_PSQL = Command(
    "dump-psql",
    "pg_dump piped into psql",
    script=(
        'pg_dump "$SOURCE" | psql -qX -o /dev/null -v ON_ERROR_STOP=1 "$TARGET"\n'
        'vacuumdb -q --analyze-only -j2 "$TARGET"'
    ),
)
KEYSET = RowsAlone(
    "keyset",
    "keyset pages through Python, one stream",
    script='python "$PROGRAMS/keyset.py" "$SOURCE" "$TARGET" pgbench_accounts=aid events=id',
)
_FILL = (
    'windlass migrate --source "$SOURCE" --target "$TARGET" --data-only --existing fill '
    "--include public.pgbench_accounts --include public.events --verify none"
)
WINDLASS_ONE_STREAM = RowsAlone(
    "windlass-one-stream", "windlass, one stream", script=f"{_FILL} --jobs 1"
)
WINDLASS_ROWS = RowsAlone("windlass-rows", "windlass, a stream per core", script=_FILL)
