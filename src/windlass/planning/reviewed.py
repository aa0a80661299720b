"""A reviewed plan, read from the file that `windlass plan -o` wrote: exactly that plan is carried
out, or nothing is, and the changes since the review are named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from windlass.errors import BadSpec
from windlass.model.plan import Plan
from windlass.model.report import Problem
from windlass.planning.document.as_json import document

MOST_CHANGES = 50
MOST_DIGESTS = 5_000
_MADE = (
    "is in the plan, but would no longer be done",
    "is new since the plan was made",
    "has changed since the plan was made",
)
_REVIEWED = (
    "is in the reviewed plan, but would no longer be done",
    "is new since the plan was reviewed",
    "has changed since the plan was reviewed",
)
_HINT = "review it again: windlass plan -o FILE"


class _Side(BaseModel):
    place: str
    database: str
    identity: str

    def __str__(self) -> str:
        return f"{self.database} on {self.place}"


class _File(BaseModel):
    """The part of the file that is needed. The rest is for people and other programs."""

    model_config = ConfigDict(extra="ignore")

    run: str
    made_at: str
    fingerprint: str
    seal: str = ""
    options: dict[str, Any]
    source: _Side
    target: _Side
    relations: list[dict[str, Any]]
    ddl: list[dict[str, Any]]
    set_aside: list[dict[str, Any]] = Field(default_factory=list)
    losses: list[dict[str, Any]] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The plan as it was reviewed."""

    file: _File

    @classmethod
    def read(cls, path: Path) -> Reviewed:
        """Raises:
        BadSpec: the file cannot be read, is not a plan, or not as it was written.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            file = _File.model_validate(found)
        except OSError as error:
            raise BadSpec([f"{path}: {error.strerror}"]) from None
        except (ValueError, RecursionError, ValidationError):
            raise BadSpec(
                [f"{path}: not the plan of a migration in JSON"],
                hint="write one with: windlass plan -o plan.json",
            ) from None
        if file.seal != _seal_of(found):
            raise BadSpec(
                [f"{path}: was edited after it was written, or by another version of windlass"],
                hint="plan again with the options you want: windlass plan -o FILE",
            )
        return cls(file)

    @property
    def run(self) -> str:
        return self.file.run

    @property
    def made_at(self) -> str:
        return self.file.made_at

    @property
    def options(self) -> Mapping[str, Any]:
        """The spec that the plan was made with, except the addresses of the two sides."""
        return self.file.options

    def changes(self, plan: Plan) -> tuple[Problem, ...]:
        """What would be done differently now; empty if the plan is still the one in the file."""
        if self.file.fingerprint == plan.fingerprint and not list(self._other_sides(plan)):
            return ()
        found = list(self._changes(plan)) or [
            Problem("plan", f"differs from the one made {self.file.made_at}", _HINT)
        ]
        more = len(found) - MOST_CHANGES
        rest = [Problem("plan", f"and {more:,} more changes", _HINT)] if more > 0 else []
        return (*found[:MOST_CHANGES], *rest)

    def _changes(self, plan: Plan) -> Iterator[Problem]:
        yield from self._other_sides(plan)
        now = document(plan)
        before = self.file.model_dump()
        for key, name_of, content_of in _COMPARED:
            yield from _compared(
                {name_of(one): content_of(one) for one in before[key]},
                {name_of(one): content_of(one) for one in _list(now[key])},
                _REVIEWED,
                _HINT,
            )

    def _other_sides(self, plan: Plan) -> Iterator[Problem]:
        for side, planned, found in (
            ("source", self.file.source, plan.source),
            ("target", self.file.target, plan.target),
        ):
            if planned.identity != found.identity:
                message = f"is {found.database} on {found.place}; the plan was made for {planned}"
                yield Problem(side, message, f"give the {side} that the plan was made for")


def digests(plan: Plan) -> dict[str, str]:
    """A short digest of everything that a plan would do, by name: small enough to pass on. Empty
    for a plan of very many parts."""
    now = document(plan)
    found = {
        name_of(one): hashlib.sha256(repr(content_of(one)).encode()).hexdigest()[:12]
        for key, name_of, content_of in _COMPARED
        for one in _list(now[key])
    }
    return found if len(found) <= MOST_DIGESTS else {}


def changes_since(before: Mapping[str, str], plan: Plan, hint: str) -> tuple[Problem, ...]:
    """What a plan would do differently than the one with these digests."""
    now = digests(plan)
    found = list(_compared(before, now, _MADE, hint)) if before and now else []
    return tuple(found[:MOST_CHANGES]) or (Problem("plan", "is not the one that was made", hint),)


def write_plan(path: Path, document: Mapping[str, object]) -> None:
    """Readable by its owner only: DDL may hold what others are not to see. With a digest of all
    of it: an edited plan would still be carried out as it was made, and not as it reads.

    Raises:
        BadSpec: it cannot be written.
    """
    try:
        path.touch(mode=0o600)
        sealed = {**document, "seal": _seal_of(document)}
        path.write_text(json.dumps(sealed, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadSpec([f"{path}: {error.strerror}"]) from None


def _seal_of(document: Mapping[str, object]) -> str:
    """A digest of the content, whatever the JSON's layout."""
    content = {key: value for key, value in document.items() if key != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _list(value: object) -> list[dict[str, Any]]:
    assert isinstance(value, list)
    return value


def _compared(
    before: Mapping[str, Any], now: Mapping[str, Any], words: tuple[str, str, str], hint: str
) -> Iterator[Problem]:
    """`words` describe entries that are gone, new or changed."""
    gone, come, changed = words
    for name in sorted(before.keys() - now.keys()):
        yield Problem(name, gone, hint)
    for name in sorted(now.keys() - before.keys()):
        yield Problem(name, come, hint)
    for name in sorted(before.keys() & now.keys()):
        if before[name] != now[name]:
            yield Problem(name, changed, hint)


_Reader = Callable[[dict[str, Any]], Any]
_COMPARED: tuple[tuple[str, _Reader, _Reader], ...] = (
    (
        "relations",
        lambda one: f"table {one['source']}",
        lambda one: (one["target"], one["arrival"], one["columns"]),
    ),
    ("ddl", lambda one: one["object"], lambda one: one["sql"]),
    (
        "set_aside",
        lambda one: f"setting aside {one['kind'].lower()} {one['name']}{one['signature']}",
        lambda one: None,
    ),
    ("losses", lambda one: f"loss of {one['object']}", lambda one: one["message"]),
)
