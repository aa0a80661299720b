"""The earlier method as a program: a client cursor, every row made CSV by Python, one local file.

How Airflow's PostgresToGCSOperator moves rows, written anew from its description: the whole result
comes to the client first, then each row is converted value by value and written by the csv module.
Left out are its scheduler's time and the upload.

    python -m bench.rowwise SOURCE relation
"""

import csv
import json
import sys
import time
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import psycopg
from psycopg import sql


def main(source: str, relation: str) -> None:
    with psycopg.connect(source) as connection, Path("rows.csv").open("w", newline="") as file:
        cursor = connection.execute(sql.SQL("select * from {}").format(sql.Identifier(relation)))
        writer = csv.writer(file)
        writer.writerow(column.name for column in cursor.description or ())
        for row in cursor:
            writer.writerow([convert(value) for value in row])


def convert(value: object) -> object:
    """As the operator's `convert_type` does, its losses included."""
    if not value:
        return None
    if isinstance(value, datetime):
        return time.mktime(value.timetuple())
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict | list):
        return json.dumps(value)
    return value


if __name__ == "__main__":
    main(*sys.argv[1:])
