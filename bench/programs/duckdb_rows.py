"""DuckDB's own reader: rows of a file into a table of the same types.

python duckdb_rows.py duckdb:///FILE FILE
"""

import sys

import duckdb

READERS = {
    "parquet": "insert into events by name select * from read_parquet(?)",
    "jsonl": "insert into events by name select * from read_json(?, format = 'newline_delimited')",
}


def main(url: str, file: str) -> None:
    with duckdb.connect(url.removeprefix("duckdb:///")) as connection:
        connection.execute(READERS[file.rpartition(".")[2]], [file])


if __name__ == "__main__":
    main(*sys.argv[1:])
