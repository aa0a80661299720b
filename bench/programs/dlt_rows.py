"""The peer's program: rows of a file through dlt, into the dataset `peer` of a database.

Files go the way that is fastest for dlt: CSV and Parquet as Arrow tables, JSON lines as lists of
dictionaries, and into PostgreSQL by COPY (loader_file_format="csv") instead of INSERT. Types are
given, so that nothing is inferred.

    PIPELINES=FOLDER python dlt_rows.py URL FILE append|delete-insert|upsert [insert_values]
"""

import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

BLOCK_BYTES = 64 << 20
ROWS = 10_000
ARROW = {
    "id": pa.int64(), "happened_at": pa.timestamp("us", "UTC"), "account_id": pa.int32(),
    "kind": pa.string(), "amount": pa.decimal128(12, 2), "details": pa.string(),
    "billed": pa.bool_(), "score": pa.float64(), "token": pa.string(),
}  # fmt: skip
HINTS: dict[str, dict[str, Any]] = {
    "id": {"data_type": "bigint", "nullable": False},
    "happened_at": {"data_type": "timestamp"},
    "account_id": {"data_type": "bigint"},
    "kind": {"data_type": "text"},
    "amount": {"data_type": "decimal", "precision": 12, "scale": 2},
    "details": {"data_type": "json"},
    "billed": {"data_type": "bool"},
    "score": {"data_type": "double"},
    "token": {"data_type": "text"},
}


def main(url: str, file: str, way: str, loader: str = "csv") -> None:
    if url.startswith("duckdb:///"):
        destination, options = dlt.destinations.duckdb(url.removeprefix("duckdb:///")), {}
    else:
        # it refuses a URL without a password; the server asks for none
        destination = dlt.destinations.postgres(url.replace("@", ":none@"))
        options = {"loader_file_format": loader}
    pipeline = dlt.pipeline(
        "peer",
        pipelines_dir=os.environ["PIPELINES"],
        destination=destination,
        dataset_name="peer",
    )
    merge = {"disposition": "merge", "strategy": way}
    rows = dlt.resource(
        _read(file),
        name="events",
        columns=HINTS,
        primary_key=None if way == "append" else "id",
        write_disposition="append" if way == "append" else merge,
    )
    pipeline.run(rows, **options).raise_on_failed_jobs()


def _read(file: str) -> Iterator[Any]:
    if file.endswith(".parquet"):
        for batch in pa.parquet.ParquetFile(file).iter_batches(100_000):
            yield pa.Table.from_batches([batch])
    elif file.endswith(".jsonl"):
        with Path(file).open("rb") as lines:
            while some := list(islice(lines, ROWS)):
                yield [dlt.common.json.loadb(line) for line in some]
    else:
        convert = pa.csv.ConvertOptions(column_types=ARROW, true_values=["t"], false_values=["f"])
        read = pa.csv.ReadOptions(block_size=BLOCK_BYTES)
        for batch in pa.csv.open_csv(file, read, convert_options=convert):
            yield pa.Table.from_batches([batch])


if __name__ == "__main__":
    main(*sys.argv[1:])
