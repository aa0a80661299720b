"""The databases whose runs the page shows, and what commands on them are given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from windlass.api import Where
from windlass.engines.postgres.session import Address
from windlass.spec.model import SpecModel

POSTGRES = re.compile(r"(postgres(ql)?(\+\w+)?://|[^:]*$|[^:]*=)")


@dataclass(frozen=True, slots=True)
class Watched:
    """A target. `environment` has its address and its source's, with their passwords: commands
    that act on it read them there, and never in their arguments."""

    key: str  # in addresses of the page
    title: str  # for people, without a password
    where: Where = field(repr=False)
    file: Path | None = None  # the spec file that names both databases
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    has_source: bool = False

    @property
    def target(self) -> str:
        """Its address; empty if its runs are recorded elsewhere."""
        return self.environment.get("WINDLASS_TARGET", "")

    @property
    def options(self) -> tuple[str, ...]:
        """Of a command that takes all that its spec file says."""
        return ("-f", str(self.file)) if self.file else ()


def watch_target(target: str, source: str = "") -> Watched:
    """A target alone, or the two databases of a migration."""
    environment = {"WINDLASS_TARGET": target}
    if source:
        environment["WINDLASS_SOURCE"] = source
    return Watched("", title_of(target), target, None, environment, bool(source))


def watch_spec(spec: SpecModel, file: Path) -> Watched:
    """What a spec file is for: its target, or, of an export, its store."""
    written = getattr(spec, "written_database", None)
    if written is None:
        return Watched("", file.stem, spec, file)
    target = written.get_secret_value()
    source = getattr(spec, "source", None)
    address = source.get_secret_value() if isinstance(source, SecretStr) else ""
    found = watch_target(target, address)
    return replace(found, file=file)


def title_of(url: str) -> str:
    """A database as people name it: ``shop on db.example.com:5432``.

    Raises:
        BadSpec: it is no address of a PostgreSQL database, though it looks like one.
    """
    if POSTGRES.match(url):
        place, _, name = Address.parse("target", url).place.partition("/")
        return f"{name} on {place}" if name else place
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    name = parts.path.rpartition("/")[2] or parts.path
    return f"{name} on {parts.hostname}{port}" if parts.hostname else name


def with_keys(found: Sequence[Watched]) -> tuple[Watched, ...]:
    """Each with a key that differs from those of the others."""
    from dataclasses import replace

    kept: dict[str, Watched] = {}
    for one in found:
        stem = re.sub(r"[^a-z0-9]+", "-", one.title.partition(" on ")[0].lower()).strip("-") or "db"
        key, number = stem, 1
        while key in kept:
            number += 1
            key = f"{stem}-{number}"
        kept[key] = replace(one, key=key)
    return tuple(kept.values())
