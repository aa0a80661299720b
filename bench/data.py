"""The data sets, each a shell script that fills an empty database; SQL lives in `sql/`."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

SQL = Path(__file__).parent / "sql"


class Scale(Enum):
    """How much data: `FULL` gives figures, `SMALL` only shows that everything runs."""

    SMALL = "small"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Dataset:
    """What fills the source: bash scripts that read `$SOURCE` and `$SQL`, one per scale."""

    name: str
    title: str
    full: str
    small: str = ""

    def script(self, scale: Scale = Scale.FULL) -> str:
        """The script leaves the database vacuumed and analysed, like one in use."""
        fill = self.full if scale is Scale.FULL else self.small or self.full
        return f'{fill}\nvacuumdb -q --analyze "$SOURCE"'


def pgbench(scale: int) -> str:
    return f'pgbench -i -q -s {scale} "$SOURCE"'


def psql(file: str, **variables: int) -> str:
    words = " ".join(f"-v {name}={value}" for name, value in variables.items())
    return f'psql -qX -o /dev/null -v ON_ERROR_STOP=1 {words} -f "$SQL/{file}" "$SOURCE"'


def _events(name: str, full_rows: int, small_rows: int) -> Dataset:
    return Dataset(
        name,
        f"`events`, {name} rows",
        full=psql("events.sql", rows=full_rows),
        small=psql("events.sql", rows=small_rows),
    )


MIXED = Dataset(
    "mixed",
    "pgbench scale 30 and `events`, 2M rows",
    full=pgbench(30) + "\n" + psql("events.sql", rows=2_000_000),
    small=pgbench(1) + "\n" + psql("events.sql", rows=50_000),
)
TOAST = Dataset(
    "toast",
    "200,000 rows of 4 to 8 kB, text and jsonb",
    full=psql("toast.sql", rows=200_000),
    small=psql("toast.sql", rows=5_000),
)
SMALL_RELATIONS = Dataset(
    "small",
    "2,000 relations of 20 to 50 rows with keys and indexes",
    full=psql("small.sql", relations=2_000),
    small=psql("small.sql", relations=100),
)
EVENTS_1M = _events("1M", 1_000_000, 20_000)
EVENTS_5M = _events("5M", 5_000_000, 100_000)
EVENTS_20M = _events("20M", 20_000_000, 400_000)
