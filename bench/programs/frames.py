"""The earlier method as a program: rows through pandas, deleted, and appended again.

How a published Airflow pipeline changes rows of a table, written from its description: `read_sql`
of the selected rows, a column added to the frame, the backup dropped and created again, a DELETE by
`base`, `drop_duplicates`, `to_sql` that appends, an UPDATE of `exported_at` by `message_id`. The
new column exists already: the original assumes that.

Left out, to its advantage: passing every record through XCom and the scheduler's time. Both long
lists of values are sent as one array.

    python frames.py URL
"""

import sys

import pandas as pd
from sqlalchemy import create_engine, text


def main(url: str) -> None:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.begin() as connection:
        query = text("select * from public.message where exported_at = '9999-12-31'")
        records = pd.read_sql(query, connection).to_dict("records")
    frame = pd.DataFrame(records)
    frame["product_id"] = "ABCD"
    with engine.begin() as connection:
        connection.execute(text("drop table if exists backup.message"))
        connection.execute(text("create table backup.message as select * from public.message"))
    with engine.begin() as connection:
        bases = frame["base"].unique().tolist()
        connection.execute(text("delete from public.message where base = any(:bases)"),
                           {"bases": bases})  # fmt: skip
    frame = frame.drop_duplicates().replace({pd.NaT: None})
    frame.to_sql("message", engine, schema="public", if_exists="append", index=False)
    with engine.begin() as connection:
        ids = frame["message_id"].tolist()
        connection.execute(
            text("update public.message set exported_at = now() where message_id = any(:ids)"),
            {"ids": ids},
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
