"""The earlier method as a program: a client cursor, every row made CSV by Python, one local file.

How Airflow's PostgresToGCSOperator moves rows, rewritten after apache-airflow-providers-google
(transfers/postgres_to_gcs.py and sql_to_gcs.py, as of 2025): the whole result comes to the client
first, then each row is converted value by value and written by the csv module. Left out are its
scheduler's time and the upload.

    python -m bench.programs.rowwise SOURCE relation
"""

import csv
import json
import sys
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from time import strptime

import psycopg
from psycopg import sql


def main(source: str, relation: str) -> None:
    with psycopg.connect(source) as connection, Path("rows.csv").open("w", newline="") as file:
        cursor = connection.execute(sql.SQL("select * from {}").format(sql.Identifier(relation)))
        writer = csv.writer(file)
        writer.writerow(column.name for column in cursor.description or ())
        for row in cursor:
            writer.writerow(marked([convert(value) for value in row], None))


def convert(value: object) -> object:
    """As the operator's `convert_type` does, its losses and its faults included."""
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo is None else value.timestamp()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, clock):
        parsed = strptime(str(value), "%H:%M:%S")
        return str(timedelta(hours=parsed.tm_hour, minutes=parsed.tm_min, seconds=parsed.tm_sec))
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, Decimal):
        return float(value)
    return value


def marked(row: Sequence[object], null_marker: str | None) -> list[object]:
    """As `_write_local_data_files` marks what it takes for NULL."""
    return list(row) if null_marker is None else [value or null_marker for value in row]


if __name__ == "__main__":
    main(*sys.argv[1:])
