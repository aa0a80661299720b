"""What a run sets aside in a database: tables and views, which are renamed within it, each once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import md5

from psycopg import sql

from windlass.engines.mysql.destination.journal import PREFIX, Journal
from windlass.engines.mysql.destination.server import Server
from windlass.engines.mysql.destination.session import TargetSession
from windlass.engines.mysql.quoting import Quoted, Text, listed, part
from windlass.errors import WindlassError
from windlass.model.conversion import ConversionPlan, Replacing, SetAside, Standing
from windlass.model.report import Problem
from windlass.model.units import several

ASIDE, PUT_BACK = "set_aside", "put_back"  # steps of the journal; their items are names
_MOST_NAME = 64
_KINDS = {"BASE TABLE": "table", "SYSTEM VERSIONED": "table", "VIEW": "view"}


def replacing(
    server: Server, session: TargetSession, run: str, wanted: Collection[str], standing: Standing
) -> Replacing:
    """`wanted` are in lower case."""
    found = [
        SetAside(_KINDS[kind], name, aside_name(run, name))
        for name, kind in _tables(server, session)
        if name.lower() in wanted and kind in _KINDS
    ]
    free = {one.name.lower() for one in found}
    tables = [one.name for one in found if one.kind == "table"]
    views = _views(server, session, {one.name for one in found})
    notices = (f"these views read the new tables from then on: {several(views, 10)}",)
    return Replacing(
        Standing(False, standing.names - free, standing.problems),
        tuple(found),
        tuple(_references(server, session, tables)),
        notices if views else (),
    )


def aside_name(run: str, name: str) -> str:
    made = f"{PREFIX}{run}_{name}"
    if len(made) <= _MOST_NAME:
        return made
    digest = f"_{md5(name.encode()).hexdigest()[:8]}"
    return made[: _MOST_NAME - len(digest)] + digest


def _tables(server: Server, session: TargetSession) -> list[tuple[str, ...]]:
    query = part(
        "select table_name, table_type from information_schema.tables where table_schema = {}",
        Text(server.database),
    )
    return _texts(session, query)


def _references(server: Server, session: TargetSession, tables: Sequence[str]) -> Iterator[Problem]:
    """Foreign keys of tables that stay: InnoDB lets them refer to the renamed table."""
    if not tables:
        return
    query = part(
        "select distinct table_schema, table_name, constraint_name, referenced_table_name"
        " from information_schema.key_column_usage where referenced_table_schema = {0}"
        " and referenced_table_name in ({1}) and not (table_schema = {0} and table_name in ({1}))",
        Text(server.database), listed(map(Text, tables)),
    )  # fmt: skip
    for schema, table, key, parent in _texts(session, query):
        if not table.startswith(PREFIX):
            message = f"refers to {parent} ({key}), and would refer to old rows"
            hint = "select it as well, or drop the key"
            yield Problem(f"{schema}.{table}", message, hint)


def _views(server: Server, session: TargetSession, names: Collection[str]) -> list[str]:
    """The views that use these, besides themselves."""
    query = "select table_schema, table_name, view_definition from information_schema.views"
    used = [Quoted(server.database, one).as_string(None) for one in names]
    return [
        f"{schema}.{name}"
        for schema, name, text in _texts(session, query)
        if any(one in text for one in used)
        and not (schema == server.database and (name in names or name.startswith(PREFIX)))
    ]


def _texts(session: TargetSession, query: sql.Composable | str) -> list[tuple[str, ...]]:
    return [tuple((one or b"").decode() for one in row) for row in session.run(query)]


class Asides:
    """What one run has set aside."""

    def __init__(
        self, server: Server, journal: Journal, run: str, asides: Sequence[SetAside]
    ) -> None:
        self._server, self._journal, self._run, self._asides = server, journal, run, asides

    @property
    def names(self) -> frozenset[str]:
        return frozenset(one.name for one in self._asides)

    def set_aside(self, session: TargetSession) -> None:
        """Rename each, after its line is journalled: so a rollback knows of it.

        Raises:
            WindlassError: one is gone since the plan.
        """
        for one in self._asides:
            noted = self._journal.note(session, self._run, ASIDE, one.name)
            if noted is None:
                note = {"kind": one.kind, "as": one.aside}
                self._journal.add_line(session, self._run, ASIDE, one.name, note)
                session.run("commit")
            if self._server.has_in(session, one.aside):
                continue  # killed after that
            if noted is not None and self._is_ours(session, one.name):
                continue  # others have dropped what was set aside
            if not self._server.has_in(session, one.name):
                message = f"{self._server.database}.{one.name} is gone since the plan"
                hint = "roll the run back; then run the same command again"
                raise WindlassError(message, hint=hint, side="target")
            self._rename(session, one.name, one.aside)

    def _is_ours(self, session: TargetSession, name: str) -> bool:
        lines = self._journal.all_made(session, self._run)
        return any(one.object == name == one.relation for one in lines)

    def _rename(self, session: TargetSession, old: str, new: str) -> None:
        """With foreign keys in both directions, which InnoDB only changes if it checks them."""
        session.run("set session foreign_key_checks = 1")
        try:
            session.run(part("rename table {} to {}", Quoted(old), Quoted(new)))
        finally:
            if not session.is_dead:
                session.run("set session foreign_key_checks = 0")

    # the way back

    def kept(self, session: TargetSession) -> list[SetAside]:
        """What is still set aside."""
        return [one for one in self._asides if self._server.has_in(session, one.aside)]

    def restored(self, session: TargetSession) -> frozenset[str]:
        """Names that an earlier attempt of a rollback has put back, or began to."""
        return frozenset(self._journal.lines(session, self._run).get(PUT_BACK, {}))

    def lost(self, session: TargetSession) -> Iterator[Problem]:
        """What others have dropped of it."""
        lines = self._journal.lines(session, self._run)
        renamed = set(lines.get(ASIDE, {})) - set(lines.get(PUT_BACK, {}))
        kept = {one.name for one in self.kept(session)}
        made = {one.object for one in self._journal.all_made(session, self._run)}
        for one in self._asides:
            if one.name in renamed - kept and one.name in made:
                message = f"was set aside as {one.aside}, which is gone: it is not put back"
                yield Problem(one.name, message, "put it there again")

    def in_the_way(self, session: TargetSession, made: Mapping[str, str]) -> Iterator[Problem]:
        """Objects of others that have a name which is put back; `made` are the run's."""
        for one in self.kept(session):
            if one.name not in made and self._server.has_in(session, one.name):
                message = "exists, and is not of the run: what had this name is not put back"
                yield Problem(f"{self._server.database}.{one.name}", message, "rename or drop it")

    def put_back(self, session: TargetSession) -> int:
        """Each after its line is journalled: from then on, its name is not the run's."""
        found = self.kept(session)
        for one in found:
            if self._journal.note(session, self._run, PUT_BACK, one.name) is None:
                self._journal.add_line(session, self._run, PUT_BACK, one.name, {"from": one.aside})
            self._rename(session, one.aside, one.name)
        return len(found)

    def drop(self, session: TargetSession) -> None:
        for one in self.kept(session):
            kind = "view" if one.kind == "view" else "table"
            text = "drop view {}" if kind == "view" else "drop table {}"
            session.run(part(text, Quoted(one.aside)))


def asides_of(server: Server, journal: Journal, run: str, plan: ConversionPlan) -> Asides:
    return Asides(server, journal, run, plan.set_aside)
