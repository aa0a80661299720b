"""A hostile role whose only privilege is CREATE on one database."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources

import psycopg

from servers import PASSWORD, Database

SCHEMA = (resources.files("windlass.journal") / "schema.sql").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Hostile:
    """The role `name` in a database, which wants to be a superuser."""

    name: str
    database: Database

    @property
    def url(self) -> str:
        return self.database.url_for(self.name)

    def run(self, *statements: str) -> None:
        """As this role."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    @property
    def attack(self) -> str:
        """The beginning of a function that makes the role a superuser, if one runs it."""
        return f"begin execute 'alter role {self.name} superuser'; "

    def make_function(self, schema: str, returns: str = "trigger") -> str:
        """One that attacks; by its name."""
        name = f"{schema}.evil_{returns}"
        end = "end" if returns == "event_trigger" else "return null; end"
        self.run(
            f"create or replace function {name}() returns {returns}"
            f" language plpgsql as $${self.attack}{end}$$"
        )
        return name

    @property
    def has_won(self) -> bool:
        query = "select rolsuper from pg_roles where rolname = %s"
        return bool(self.database.value(query, (self.name,)))


@contextmanager
def hostile_role(database: Database, name: str = "") -> Iterator[Hostile]:
    """It and all that it has are gone afterwards."""
    role = Hostile(name or f"low_{secrets.token_hex(4)}", database)
    database.run(
        f"create role {role.name} login password '{PASSWORD}'",
        f'grant create on database "{database.name}" to {role.name}',
    )
    try:
        yield role
    finally:
        database.run(f"drop owned by {role.name} cascade", f"drop role {role.name}")
