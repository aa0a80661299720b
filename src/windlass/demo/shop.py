"""The sample shop: a database like that of a real business, made in about ten seconds.

Three files define it, in this order: `schema.sql` (types and empty relations), `rows.sql` (the same
rows every time), `keys.sql` (what is faster to build once rows exist).
"""

from __future__ import annotations

from contextlib import closing
from importlib.resources import files

import psycopg

from windlass.engines.postgres.errors import explain

SCHEMAS = ("shop", "warehouse", "Back Office")
ROWS = 1_500_000  # about, at scale 1

_FILES = ("schema.sql", "rows.sql", "keys.sql")
_SESSION = """
select set_config('synchronous_commit', 'off', false),
       set_config('client_min_messages', 'warning', false),
       set_config('maintenance_work_mem', '256MB', false),
       set_config('work_mem', '64MB', false),
       set_config('jit', 'off', false),
       set_config('search_path', '', false),
       set_config('timezone', 'UTC', false),
       set_config('sample.scale', %s, false)
"""


def fill(url: str, scale: float = 1.0) -> None:
    """Create the shop in an empty database; `scale` multiplies the large relations' rows.

    Each of the three files is one transaction.

    Raises:
        WindlassError: the server refused, for example because there is a shop already.
    """
    try:
        with closing(psycopg.connect(url, autocommit=True)) as connection:
            connection.execute(_SESSION, [str(scale)])
            for name in _FILES:
                connection.execute(files("windlass.demo").joinpath(name).read_bytes())
            connection.execute("analyze")
    except psycopg.Error as error:
        raise explain(error, "filling the sample shop", side="source") from error
