"""Records the columns of Airflow's own database, a version each, as Airflow's migrations make them.

Runs the migrations of the installed Airflow on a server of ours, from the oldest that they know.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from windlass.engines.postgres.embedded import EmbeddedServer

VERSIONS = {
    "2.7": "2.7.0", "2.8": "2.8.1", "2.9": "2.9.2", "2.10": "2.10.3", "3.0": "3.0.3",
    "3.1": "3.1.8", "3.2": "3.2.0", "3.3": "3.3.0",
}  # fmt: skip
COLUMNS = (
    "select table_name, column_name, data_type from information_schema.columns"
    " where table_schema = 'public' order by table_name, ordinal_position"
)


def record(url: str) -> dict[str, dict[str, dict[str, str]]]:
    from airflow.utils import db

    library: Any = db  # whose functions have no types
    found: dict[str, dict[str, dict[str, str]]] = {}
    for name, version in VERSIONS.items():
        library.upgradedb(to_revision=library._REVISION_HEADS_MAP[version])
        with psycopg.connect(url) as connection:
            tables: dict[str, dict[str, str]] = {}
            for table, column, kind in connection.execute(COLUMNS).fetchall():
                if not table.startswith("_"):
                    tables.setdefault(table, {})[column] = kind
        found[name] = tables
    return found


if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    folder.chmod(0o711)  # root's servers run as another account
    try:
        server = EmbeddedServer.create(16, folder / "server")
        server.start()
        os.environ["AIRFLOW_HOME"] = str(folder / "airflow")
        os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = server.url().replace(
            "postgresql://", "postgresql+psycopg2://"
        )
        made = record(server.url())
        server.stop()
    finally:
        shutil.rmtree(folder)
    lines = ",\n".join(
        f"{json.dumps(version)}: {{\n"
        + ",\n".join(f"{json.dumps(name)}: {json.dumps(tables[name])}" for name in sorted(tables))
        + "\n}"
        for version, tables in made.items()
    )
    (Path(__file__).parent / "metadata_columns.json").write_text(f"{{\n{lines}\n}}\n")
