"""Loads whose inputs have not changed, according to web servers and object stores: nothing is
downloaded for them.

Only a strong ETag counts, which a server must change with every byte (RFC 9110, 8.8.1). A weak one
may stay the same, and a date is only exact to the second; then the file is downloaded, and its
SHA-256 compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from windlass.engines.inputs import STORES, WEB, are_unchanged
from windlass.engines.landing import Landing, LoadRun
from windlass.flows.load.fetched import Fetched
from windlass.flows.load.hashed import key_id
from windlass.flows.load.inputs import sources_of
from windlass.flows.load.runs import applied_by, has_key, hashed_otherwise, loads_of
from windlass.loading.made import LoadPlan
from windlass.loading.words import words_of
from windlass.model.digest import digest
from windlass.model.inputs import FilesFrom
from windlass.model.load import Field, Identity, Load, Table
from windlass.spec.load import OneLoad, config_of


@dataclass(frozen=True, slots=True)
class Known:
    """What earlier runs into a target have loaded, the newest first."""

    runs: tuple[LoadRun, ...] = ()
    past: tuple[LoadRun, ...] = ()  # also those whose work is to be done again
    joined: LoadRun | None = None  # the run that another process began

    def hashed_otherwise(self, one: OneLoad, name: str, target: Landing) -> str:
        """The run that last loaded the table, if it hashed with another key."""
        return hashed_otherwise(name, key_id(one), self.past, target)

    def unchanged(
        self, one: OneLoad, table: Table, target: Landing, fetched: Fetched
    ) -> LoadPlan | None:
        """The plan of a load as the last run had it, if none of its inputs has changed since; None
        if one has, or may have. The process that began this run may have found that already."""
        config = digest(config_of(one))
        begun = loads_of(self.joined).get(str(table.name)) if self.joined else None
        if begun and begun["loaded_by"]:
            return _as_kept(one, table, config, begun)
        sources = list(_remote(one, table))
        kept = self._kept(str(table.name), config, target)
        identities = _identities(kept)
        if not (sources and identities and has_key(key_id(one), kept)):
            return None
        if not all(it.etag and not it.etag.startswith("W/") for it in identities):
            return None
        if not are_unchanged(sources, identities, fetched.made(), fetched.is_stopped):
            return None
        return _as_kept(one, table, config, kept)

    def _kept(self, name: str, config: str, target: Landing) -> Mapping[str, Any]:
        run = applied_by(name, config, self.runs, target)
        return loads_of(run)[name] if run else {}


def _as_kept(one: OneLoad, table: Table, config: str, kept: Mapping[str, Any]) -> LoadPlan:
    fields = tuple(Field(name) for name in kept["fields"])
    load = Load(table, words_of(one), fields, (), inputs=tuple(kept["inputs"]))
    return LoadPlan(
        load, config, kept["mark"], size_bytes=kept["bytes"], identities=_identities(kept),
        may_drift=True, is_unread=True, hash_key=key_id(one),
    )  # fmt: skip


def _identities(kept: Mapping[str, Any]) -> tuple[Identity, ...]:
    return tuple(Identity(**it) for it in kept.get("identities", ()))


def _remote(one: OneLoad, table: Table) -> Iterator[FilesFrom]:
    """The inputs of a load that has only files of the web and of object stores."""
    found: list[FilesFrom] = []
    for given in sources_of(one, table):
        if not isinstance(given, FilesFrom) or not _are_remote(given.locations):
            return
        found.append(given)
    yield from found


def _are_remote(locations: Iterable[str]) -> bool:
    return all(one.partition("://")[0].lower() in (*WEB, *STORES) for one in locations)
