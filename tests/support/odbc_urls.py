"""Addresses of databases through Debian's ODBC drivers."""

from __future__ import annotations

import pytest

from mariadb_server import MariaServer
from needs import needs
from servers import PASSWORD


def driver(name: str) -> str:
    pyodbc = pytest.importorskip("pyodbc")
    needs(name in pyodbc.drivers(), f"the ODBC driver {name} is not installed")
    return f"odbc:DRIVER={{{name}}}"


def of_mariadb(server: MariaServer, database: str, password: str = PASSWORD) -> str:
    return (
        f"{driver('MariaDB Unicode')};SERVER=127.0.0.1;PORT={server.port};UID=app;"
        f"PWD={{{password}}};DATABASE={database};CHARSET=utf8mb4"
    )
