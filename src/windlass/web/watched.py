"""The databases whose runs the page shows, and what it passes to commands on them."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from pydantic import SecretStr

from windlass.engines.names import name_of
from windlass.engines.postgres.session import Address
from windlass.errors import BadSpec, Refused
from windlass.model.report import Problem
from windlass.recorded import Where
from windlass.spec.model import SpecModel

POSTGRES = re.compile(r"(postgres(ql)?(\+\w+)?://|[^:]*$|[^:]*=)")


@dataclass(frozen=True, slots=True)
class Watched:
    """A target. `environment` has the addresses of the target and its source, with their passwords:
    commands read them there, and never in their arguments."""

    key: str  # in addresses of the page
    title: str  # for people, without a password
    where: Where = field(repr=False)
    file: Path | None = None  # the spec file that names both databases
    spec: SpecModel | None = field(default=None, repr=False)  # the file's content
    digest: str = ""  # of the file when it was read
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    has_source: bool = False
    freeze_limit: str = ""  # of a cutover, for people, if the spec does not decide it

    @property
    def target(self) -> str:
        """Its address; empty if its runs are recorded elsewhere."""
        return self.environment.get("WINDLASS_TARGET", "")

    @property
    def records_acts(self) -> bool:
        """Whether its journal can record who did what. Without a record, nothing is done."""
        return bool(self.target and POSTGRES.match(self.target))

    @property
    def source_title(self) -> str:
        source = self.environment.get("WINDLASS_SOURCE", "")
        return title_of(source) if source else ""

    @property
    def file_words(self) -> tuple[str, ...]:
        """The arguments of a command that uses the spec file.

        Raises:
            Refused: the file has changed since the page was started, and might name other
                databases.
        """
        if self.file is not None and digest_of(self.file) != self.digest:
            message = "the spec file has changed since this page was started"
            raise Refused([Problem(str(self.file), message, "start the page again")])
        return ("-f", str(self.file)) if self.file else ()


def digest_of(file: Path) -> str:
    """The file's digest; empty if it cannot be read."""
    try:
        return b64encode(sha256(file.read_bytes()).digest()).decode()
    except OSError:
        return ""


def watch_target(target: str, source: str = "") -> Watched:
    """Watch a target alone, or the two databases of a migration."""
    environment = {"WINDLASS_TARGET": target}
    if source:
        environment["WINDLASS_SOURCE"] = source
    return Watched("", title_of(target), target, environment=environment, has_source=bool(source))


def watch_spec(spec: SpecModel, file: Path) -> Watched:
    """Watch what a spec file is for: its target, or the store of an export."""
    written = getattr(spec, "written_database", None)
    if written is None:
        return Watched("", file.stem, spec, file, spec, digest_of(file))
    target = written.get_secret_value()
    source = getattr(spec, "source", None)
    address = source.get_secret_value() if isinstance(source, SecretStr) else ""
    found = watch_target(target, address)
    return replace(found, file=file, spec=spec, digest=digest_of(file))


def title_of(url: str, side: str = "target") -> str:
    """A database as reports and metrics name it: ``shop on db.example.com:5432``.

    Raises:
        BadSpec: it looks like the address of a database, but is not valid.
    """
    if POSTGRES.match(url):
        Address.parse(side, url)
    if name := name_of(url):
        return name
    raise BadSpec([f"{side}: not a URL: its host or port cannot be read"])


def with_keys(found: Sequence[Watched]) -> tuple[Watched, ...]:
    """The same targets, each with a unique key and a unique title: several that have the same are
    told apart by their spec files, or numbered."""
    kept: dict[str, Watched] = {}
    titles: set[str] = set()
    for one in found:
        title, number = one.title, 1
        if title in titles and one.file is not None:
            title = f"{one.title} ({one.file.name})"
        while title in titles:
            number += 1
            title = f"{one.title} ({number})"
        titles.add(title)
        database = one.title.partition(" on ")[0].rpartition("/")[2]
        stem = re.sub(r"[^a-z0-9]+", "-", database.lower()).strip("-") or "db"
        key, number = stem, 1
        while key in kept:
            number += 1
            key = f"{stem}-{number}"
        kept[key] = replace(one, key=key, title=title)
    return tuple(kept.values())
