"""fakesnow's server, which Snowflake's own connector speaks to, over DuckDB. Run as a program:
its first argument is the folder with fakesnow and the sqlglot that it needs, which differs from
the one of Windlass. Prints its port, and ends when its standard input does.

Where fakesnow is not as strict as Snowflake, or lacks something, it is changed here:

- a statement that defines anything is refused in a transaction, which Snowflake would commit;
- a schema that does not exist is not made by a login that names it;
- DROP STAGE does nothing, instead of being an error;
- a column of a Parquet file may have any name;
- MERGE can be in a transaction: it is not followed by a comment on a table, in another database;
- what it does not expect is an error of that statement, which the connector does not try again;
- a conflict of two transactions has the number of Snowflake's error for a lock.

`/statements` has all texts that it was sent, for tests that read them. `/end_transactions` rolls
every open transaction back, as Snowflake does to those of a killed process after some minutes.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from importlib import import_module
from typing import Any, cast

sys.path.insert(0, sys.argv[1])

import duckdb
import uvicorn
from snowflake.connector.errors import Error, ProgrammingError
from sqlglot import exp
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

# the package has functions of these names
copy_into, server, info_schema, cursor_module = (
    cast(Any, import_module(f"fakesnow.{name}"))
    for name in ("copy_into", "server", "info_schema", "cursor")
)
FakeSnowflakeCursor = cursor_module.FakeSnowflakeCursor

TEXTS: list[str] = []
OPEN: dict[int, Any] = {}  # sessions in a transaction; fakesnow knows only of implicit ones
_DEFINING = ("CREATE", "ALTER", "DROP", "TRUNCATE", "COMMENT")


def _quoted_names(expression: Any) -> Any:
    found = _plain_names(expression)
    for one in found.find_all(exp.Identifier):
        one.set("quoted", True)
    return found


_plain_names = copy_into._strip_json_extract
copy_into._strip_json_extract = _quoted_names

info_schema.insert_table_comment_sql = lambda *_: "select 1"

_execute = FakeSnowflakeCursor.execute


def execute(cursor: Any, command: str, *given: Any, **words: Any) -> Any:
    TEXTS.append(command)
    first = command.split(maxsplit=1)[0].upper()
    if cursor._conn._in_transaction and first in _DEFINING:
        raise ProgrammingError(msg=f"{first} in a transaction would commit it", errno=90232)
    if command.lower().startswith("drop stage"):
        command = "select 'dropped' as status"
    try:
        found = _execute(cursor, command, *given, **words)
        if first == "BEGIN":
            OPEN[id(cursor._conn)] = cursor._conn
        elif first in ("COMMIT", "ROLLBACK"):
            OPEN.pop(id(cursor._conn), None)
        return found
    except Error:
        raise
    except duckdb.TransactionException as error:
        number = 625 if "onflict" in str(error) else 604
        raise ProgrammingError(msg=str(error), errno=number, sqlstate="57014") from error
    except Exception as error:
        message = f"fakesnow: {type(error).__name__}: {error}"
        raise ProgrammingError(msg=message, errno=604, sqlstate="0A000") from error


FakeSnowflakeCursor.execute = execute


def statements(_: Request) -> JSONResponse:
    return JSONResponse(TEXTS)


def end_transactions(_: Request) -> JSONResponse:
    sessions = list(OPEN.values())
    for session in sessions:
        session.cursor().execute("rollback")
    return JSONResponse(len(sessions))


def main() -> None:
    server.shared_fs.create_schema_on_connect = False
    server.app.router.routes.append(Route("/statements", statements))
    server.app.router.routes.append(Route("/end_transactions", end_transactions))
    listening = socket.create_server(("127.0.0.1", 0))
    serving = uvicorn.Server(uvicorn.Config(server.app, log_level="warning"))
    threading.Thread(target=_until_input_ends, args=(serving,), daemon=True).start()
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    serving.run(sockets=[listening])
    os._exit(0)  # DuckDB's module complains of objects that are left


def _until_input_ends(serving: uvicorn.Server) -> None:
    sys.stdin.read()
    serving.should_exit = True


if __name__ == "__main__":
    main()
