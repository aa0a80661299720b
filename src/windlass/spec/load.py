"""The frozen `LoadSpec`: which inputs go into which tables, and what happens to the rows.

`windlass.loading` decides whether the options and the table agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from windlass.model.load_words import Duplicates, Matched, Missing, Take
from windlass.spec.choices import Frame, InputFormat, LoadName, LoadSchema, Packing
from windlass.spec.columns import ColumnSpec
from windlass.spec.fields.load import LOAD
from windlass.spec.inputs import CsvSpec, ExpectSpec, InputSpec
from windlass.spec.model import SpecModel, Words, made_from, with_underscores, word_of

field = partial(made_from, LOAD)


def _list_of_one(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


Column = Annotated[str, Field(min_length=1)]


class _Into(SpecModel):
    target: SecretStr | None = field("target")


class OneLoad(BaseModel):
    """One load: the keys of an entry of `loads`, or of the whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    from_: Annotated[tuple[InputSpec, ...], BeforeValidator(_list_of_one)] = field("from")
    into: str = field("into")
    load: LoadName | None = field("load")
    key: Words = field("key")
    take: Take | None = field("take")
    matched: Matched | None = field("matched")
    missing: Missing | None = field("missing")
    duplicates: Duplicates | None = field("duplicates")
    last_by: str = field("last-by")
    history: bool = field("history")
    valid_from: Column = field("valid-from")
    valid_to: Column = field("valid-to")
    mark: str = field("mark")
    slice: str = field("slice")
    since: str = field("since")
    overlap_seconds: float = field("overlap-seconds")
    format: InputFormat | None = field("format")
    compression: Packing | None = field("compression")
    csv: Annotated[CsvSpec, Field(validate_default=True)] = field("csv")
    sheet: str = field("sheet")
    member: str = field("member")
    unlimited: bool = field("unlimited")
    columns: dict[str, ColumnSpec] = field("columns")
    types: dict[str, str] = field("types")
    census: bool = field("census")
    create: bool = field("create")
    schema_: LoadSchema = field("schema")
    expect: Annotated[tuple[ExpectSpec, ...], BeforeValidator(_list_of_one)] = field("expect")
    max_bad: int = field("max-bad")
    show_values: bool = field("show-values")
    keep_failing: bool = field("keep-failing")
    allow_empty: bool = field("allow-empty")
    function: Annotated[str, Field(pattern=r"^[\w.]+:[\w.]+$")] | None = field("function")
    frame: Frame = field("frame")
    store_options: dict[str, str] = field("store-options")

    @model_validator(mode="before")
    @classmethod
    def _as_python_spells_it(cls, data: Any) -> Any:
        data = with_underscores(data)
        if isinstance(data, dict) and data.get("types") == "census":
            return {**{key: one for key, one in data.items() if key != "types"}, "census": True}
        return data

    def fitted(self, inputs: Sequence[Any]) -> tuple[OneLoad, Sequence[Any]]:
        """This load and its inputs, once they are open: a `windlass.engines.landing.Input` each.
        For a shell that knows more of the table than its database does.

        Raises:
            Refused: with every problem.
        """
        return self, inputs

    @property
    def fitting(self) -> Sequence[Sequence[str]]:
        """What `fitted` has decided, as far as the options do not say it."""
        return ()

    @property
    def inputs_described(self) -> str:
        """For people."""
        return ", ".join(one.described for one in self.from_)


class LoadSpec(OneLoad, _Into):
    """Loads into the tables of one target."""

    flow: ClassVar = "load"
    entries: ClassVar = LOAD

    loads: tuple[OneLoad, ...] = field("loads")
    again: bool = field("again")
    jobs: int = field("jobs")

    @property
    def wanted(self) -> tuple[OneLoad, ...]:
        """Every load, with the whole file's values for the keys that it does not set itself."""
        names = OneLoad.model_fields.keys()
        own = OneLoad.model_construct(**{name: getattr(self, name) for name in names})
        given = (self.model_fields_set & names) - {"from_", "into"}
        more = tuple(
            one.model_copy(
                update={name: getattr(self, name) for name in given - one.model_fields_set}
            )
            for one in self.loads
        )
        return (own, *more) if self.from_ or self.into or not self.loads else more

    @property
    def written_database(self) -> SecretStr | None:
        """The database whose journal has the runs."""
        return self.target

    @property
    def part(self) -> str:
        """The table, if there is only one."""
        wanted = self.wanted
        return wanted[0].into if len(wanted) == 1 else ""

    @property
    def addresses(self) -> Iterator[tuple[str, str]]:
        """The target's: tables and inputs, which are given beside it, are no databases."""
        yield from (one for one in super().addresses if one[0] == "target")

    def faults(self) -> Sequence[str]:
        return tuple(self._faults())

    def _faults(self) -> Iterator[str]:
        first = len(self.wanted) - len(self.loads)
        for number, one in enumerate(self.wanted, -first):
            place = f"loads.{number}." if number >= 0 else ""
            if not one.from_:
                yield f"{place}from: not given; name a file, a URL or a pattern"
            if not one.into:
                yield f"{place}into: not given; name the table, as in shop.orders"

    def config(self) -> dict[str, Any]:
        """Without secrets: of an input's address, only what identifies it."""
        return {"loads": [config_of(one) for one in self.wanted]}

    def asked(self) -> dict[str, Any]:
        """Without secrets, including those of its inputs."""
        loaded = {"from", "into", "loads"}
        others = {key: value for key, value in super().asked().items() if key not in loaded}
        return {**others, **self.config()}

    @property
    def secrets(self) -> Iterator[str]:
        """What may hold passwords, and is never shown."""
        if self.target:
            yield self.target.get_secret_value()
        for one in self.wanted:
            for given in one.from_:
                if given.source:
                    yield given.source.get_secret_value()
                if "://" in given.path:
                    yield given.path


def config_of(one: OneLoad) -> dict[str, Any]:
    """What tells a load apart from others, by the keys of a spec file; without its defaults."""
    apart = {entry.key for entry in LOAD.values() if entry.tells_runs_apart} - {"from"}
    given = one.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    kept = {word_of(key): value for key, value in given.items() if key in apart}
    fitting = {"fitting": [list(it) for it in one.fitting]} if one.fitting else {}
    return {"from": [it.described for it in one.from_], **kept, **fitting}
