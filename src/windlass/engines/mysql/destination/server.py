"""The database that a migration writes to: its sessions, what its server can do, and which process
works on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import md5

from windlass.engines.kept import Kept
from windlass.engines.mysql.address import Address
from windlass.engines.mysql.destination.session import TargetSession
from windlass.engines.mysql.quoting import Quoted, Text, Whole, part
from windlass.engines.mysql.rights import ALL, read_rights
from windlass.engines.mysql.session import stop
from windlass.engines.stopping import Stops
from windlass.errors import Refused, RunLost
from windlass.model.report import Problem

# only equal bytes are equal, trailing blanks included; MySQL has such a collation since 8.0.17
_EXACT = {True: "utf8mb4_nopad_bin", False: "utf8mb4_0900_bin"}
_PADDING = "utf8mb4_bin"
_OLDEST = {True: (10, 5), False: (5, 7)}
_RIGHTS = {
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES",
    "CREATE VIEW", "SHOW VIEW", "CREATE TEMPORARY TABLES", "LOCK TABLES",
}  # fmt: skip
_NEXT = re.compile(r"(\n\) ENGINE=\w+) AUTO_INCREMENT=\d+")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server can do."""

    engine: str = "MySQL"
    version: str = ""
    collation: str = _EXACT[False]
    loads: bool = True  # LOAD DATA LOCAL
    packet_bytes: int = 16 << 20
    user: str = ""
    has_random: bool = True  # random_bytes()
    is_explicit: bool = True  # a TIMESTAMP gets no implicit default
    problem: str = ""

    @property
    def is_mariadb(self) -> bool:
        return self.engine == "MariaDB"

    @property
    def pads(self) -> bool:
        """Whether texts that differ only in trailing blanks are equal."""
        return self.collation == _PADDING


class Server:
    """One database of a server."""

    def __init__(self, address: Address) -> None:
        """Connects to nothing yet."""
        self.address = address
        self.database = address.database
        self.place = f"{address.database} on {address.place}"
        self._kept: Kept[TargetSession] = Kept(lambda one: one.close())
        self._stops = Stops()
        self._holder: TargetSession | None = None

    @cached_property
    def facts(self) -> Facts:
        with self.session() as session:
            row = session.one(
                "select @@local_infile, @@max_allowed_packet, current_user(), @@read_only,"
                " @@explicit_defaults_for_timestamp,"
                " (select count(*) from information_schema.engines"
                "   where engine = 'InnoDB' and support in ('YES', 'DEFAULT'))"
            )
            loads, packet, user, read_only, explicit, innodb = (
                (one or b"").decode() for one in row
            )
            exact = _EXACT[session.is_mariadb]
            known = session.run(
                part(
                    "select 1 from information_schema.collations where collation_name = {}",
                    Text(exact),
                )
            )
            return Facts(
                "MariaDB" if session.is_mariadb else "MySQL",
                session.version_text,
                exact if known else _PADDING,
                loads in ("1", "ON"),
                int(packet),
                user,
                not session.is_mariadb or session.version >= (10, 10),
                explicit in ("1", "ON"),
                _problem(session, read_only in ("1", "ON"), innodb == "1"),
            )

    @contextmanager
    def session(self) -> Iterator[TargetSession]:
        """A session that no other thread uses. It is closed if the work in it fails."""
        with (
            self._kept.one(lambda: TargetSession(self.address)) as session,
            self._stops.during(lambda: stop(self.address, [session.number])),
        ):
            yield session

    def missing_rights(self, session: TargetSession) -> list[str]:
        """The rights that a run needs and the user lacks."""
        have = read_rights(
            session.run,
            self.database,
            is_mariadb=session.is_mariadb,
            version=session.version,
        )
        return [] if ALL in have else sorted(_RIGHTS - have)

    # which process works on it

    @property
    def _lock(self) -> Text:
        """The lock's name, valid for the whole server and of at most 64 characters."""
        return Text(f"windlass {md5(self.database.encode()).hexdigest()}")

    @contextmanager
    def working(self, run: str) -> Iterator[None]:
        """Raises:
        Refused: another process works on a run in this database.
        """
        holder = TargetSession(self.address)
        try:
            if holder.one(part("select get_lock({}, 0)", self._lock)) != (b"1",):
                message = f"another process migrates into {self.place}"
                hint = "wait until it has ended, or stop it; then run the same command again"
                raise Refused([Problem(f"run {run}", message, hint)])
            self._holder = holder
            yield
        finally:
            self._holder = None
            holder.close()

    @property
    def is_worked_on(self) -> bool:
        with self.session() as session:
            return session.one(part("select is_used_lock({})", self._lock)) != (None,)

    def check(self, session: TargetSession) -> None:
        """Raises:
        RunLost: this process has lost the database, so another one may have it.
        """
        if self._holder is None:
            return
        number = Whole(self._holder.number)
        if session.one(part("select is_used_lock({}) = {}", self._lock, number)) != (b"1",):
            raise RunLost(
                f"{self.place}: the session that keeps other processes out is gone",
                hint="run the same command again",
                side="target",
            )

    def has(self, name: str) -> bool:
        """Whether there is a table or view of this name."""
        with self.session() as session:
            return self.has_in(session, name)

    def has_in(self, session: TargetSession, name: str) -> bool:
        query = part(
            "select 1 from information_schema.tables where table_schema = {} and table_name = {}",
            Text(self.database),
            Text(name),
        )
        return bool(session.run(query))

    def keys(self, session: TargetSession) -> frozenset[str]:
        """The names of foreign keys, each of which the database can have once; in lower case."""
        query = part(
            "select lower(constraint_name) from information_schema.table_constraints"
            " where constraint_schema = {} and constraint_type = 'FOREIGN KEY'",
            Text(self.database),
        )
        return frozenset((one or b"").decode() for (one,) in session.run(query))

    def shape(self, session: TargetSession, table: str) -> str:
        """A table's definition, without its AUTO_INCREMENT counter."""
        text = (session.one(part("show create table {}", Quoted(table)))[1] or b"").decode()
        return _NEXT.sub(r"\1", text)

    def cancel(self) -> None:
        self._stops.cancel()

    def close(self) -> None:
        self._kept.close()


def _problem(session: TargetSession, is_read_only: bool, has_innodb: bool) -> str:
    oldest = _OLDEST[session.is_mariadb]
    if session.version < oldest:
        return f"{session.version_text} is older than {'.'.join(map(str, oldest))}"
    if is_read_only:
        return "the server is read-only: give the URL of the one that takes writes"
    return "" if has_innodb else "the server has no InnoDB"
