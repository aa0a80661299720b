"""The peer's program: all tables of a database through dlt, into the dataset `peer` of PostgreSQL,
by its backend that is fastest here (ConnectorX, as Arrow), and by COPY.

    PIPELINES=FOLDER python dlt_database.py SOURCE TARGET [BACKEND]
"""

import os
import sys

import dlt
from dlt.sources.sql_database import sql_database


def main(source: str, target: str, backend: str = "connectorx") -> None:
    arrow = {"return_type": "arrow", "conn": source}
    tables = sql_database(
        source.replace("mysql:", "mysql+pymysql:"),
        backend=backend,
        backend_kwargs=arrow if backend == "connectorx" else {},
        chunk_size=100_000,
    )
    pipeline = dlt.pipeline(
        "peer",
        pipelines_dir=os.environ["PIPELINES"],
        # it refuses a URL without a password; the server asks for none
        destination=dlt.destinations.postgres(target.replace("@", ":none@")),
        dataset_name="peer",
    )
    pipeline.run(tables, loader_file_format="csv").raise_on_failed_jobs()


if __name__ == "__main__":
    main(*sys.argv[1:])
