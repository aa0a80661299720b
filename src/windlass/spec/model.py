"""The common base of the pydantic models of specs: fields made from entries, and errors in users'
terms."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    WithJsonSchema,
)

from windlass.errors import BadSpec
from windlass.model.hiding import secrets_in, without_secrets
from windlass.spec.fields.entry import REQUIRED, Entries, Section

_UNITS = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
LONGEST_SIZE = 30  # characters
LONGEST_SECONDS = 3600


def parse_bytes(text: object) -> int:
    """``64MB`` is 64 * 1024 * 1024: PostgreSQL's own units, as in its settings."""
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    if not isinstance(text, str) or len(text) > LONGEST_SIZE:
        raise ValueError("not a size such as 64MB")
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kKmMgGtT]?[bB]?)\s*", text)
    unit = match and match[2].upper()
    if unit in ("K", "M", "G", "T"):
        unit += "B"
    if match is None or unit not in _UNITS:
        raise ValueError(f"{text!r} is not a size such as 64MB")
    return int(Decimal(match[1]) * _UNITS[unit])


def parse_seconds(text: str) -> float:
    """``500ms``, ``2s`` or ``1min``."""
    match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|min)\s*", text)
    if match is None:
        raise ValueError("not a time such as 500ms or 2s")
    return float(match[1]) * {"ms": 0.001, "s": 1.0, "min": 60.0}[match[2]]


def list_of_one(value: Any) -> Any:
    """`schema: shop` means `schema: [shop]`."""
    return [value] if isinstance(value, str) else value


Size = Annotated[
    int,
    BeforeValidator(parse_bytes),
    Field(ge=1 << 16),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1 << 16},
                {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*[kKmMgGtT]?[bB]?\s*$"},
            ]
        }
    ),
]


def _time(text: str) -> str:
    if not 0 < parse_seconds(text) <= LONGEST_SECONDS:
        raise ValueError(f"not a time between 1ms and {LONGEST_SECONDS // 60}min")
    return text


Time = Annotated[str, AfterValidator(_time)]
AnySize = Annotated[
    int,
    BeforeValidator(parse_bytes),
    Field(ge=0),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*[kKmMgGtT]?[bB]?\s*$"},
            ]
        }
    ),
]
Words = Annotated[
    tuple[str, ...],
    BeforeValidator(list_of_one),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


def made_from(entries: Entries, word: str) -> Any:
    """The pydantic field of an entry, except its type, which is the model's annotation."""
    entry = entries[word]
    default: dict[str, Any] = {"default": entry.default}
    if entry.default is REQUIRED:
        default = {}
    elif callable(entry.default):
        default = {"default_factory": entry.default}
    least, most = entry.bounds
    return Field(alias=entry.key, ge=least, le=most, description=entry.text, **default)


def _gateway(text: str) -> str:
    """Checked without repeating it: it may hold a password."""
    try:
        parts = urlsplit(text)
        has_place = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of the port
        has_place = False
    if not text:
        return text
    if not has_place or parts.query or parts.fragment:
        raise ValueError("not a URL such as http://pushgateway.example.com:9091")
    if "@" in parts.netloc:
        raise ValueError(
            "holds a login; set WINDLASS_PUSHGATEWAY_USER and WINDLASS_PUSHGATEWAY_PASSWORD instead"
        )
    return text.rstrip("/")


Gateway = Annotated[str, AfterValidator(_gateway)]
of_every_flow = partial(made_from, Entries())


def with_underscores(data: Any) -> Any:
    """A mapping with the keys as Python has them."""
    if isinstance(data, dict):
        return {str(key).replace("-", "_"): value for key, value in data.items()}
    return data


def describe_attributes(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Describe each property by the string below its attribute, as `use_attribute_docstrings` does.

    That reads the source when the class is created, which took 30 ms of every command; this does so
    only when a schema is created.
    """
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(body, ast.ClassDef)
    for attribute, below in pairwise(body.body):
        match attribute, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                value=ast.Constant(value=str(text))
            ):
                schema["properties"][keys_of(model)[name]]["description"] = inspect.cleandoc(text)


def or_text(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Describe the properties, and add that a plain text is accepted as well."""
    describe_attributes(schema, model)
    mapping = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"type": "string"}, mapping]


class SpecPart(BaseModel):
    """A part of a spec, with its own keys. Its validator is made only once a spec has such a part:
    that takes about 2 ms each, of every command."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, defer_build=True, json_schema_extra=describe_attributes
    )


class SpecModel(BaseModel):
    """A spec of one flow, with a field for each of the flow's entries."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    flow: ClassVar[str]
    entries: ClassVar[Entries]

    report: str = of_every_flow("report")
    metrics_file: str = of_every_flow("metrics-file")
    pushgateway: Gateway = of_every_flow("pushgateway")
    metrics_name: str = of_every_flow("metrics-name")

    @property
    def part(self) -> str:
        """What of its database a spec is about, if that is one relation."""
        return ""

    @classmethod
    def of(cls, **words: Any) -> Self:
        """A spec from these options, spelled as in a file but with `_` for `-`.

        Raises:
            BadSpec: with every fault, the nearest valid key for an unknown one.
        """
        return validated(cls, words)

    def faults(self) -> Sequence[str]:
        """Combinations of options that are valid alone but not together."""
        return ()

    @property
    def secrets(self) -> Iterator[str]:
        """What may hold passwords, and is never shown."""
        values = (value for _, value in self)
        yield from (one.get_secret_value() for one in values if isinstance(one, SecretStr))

    @property
    def addresses(self) -> Iterator[tuple[str, str]]:
        """The addresses of its databases and stores, by option. They may hold secrets."""
        attributes = {key: attribute for attribute, key in keys_of(type(self)).items()}
        for entry in self.entries.values():
            value = getattr(self, attributes[entry.key])
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if entry.section is Section.DATABASES and value and isinstance(value, str):
                yield entry.word, value

    def asked(self) -> dict[str, Any]:
        """The options that were given, for people: without defaults, databases and secrets."""
        databases = {one.key for one in self.entries.values() if one.section is Section.DATABASES}
        given = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        secrets = [one for text in self.secrets for one in secrets_in(text)]
        return {
            word_of(key): without_secrets(value, secrets, word_of(key))
            for key, value in given.items()
            if key not in databases
        }

    def config(self) -> dict[str, Any]:
        """The options that identify a run: without who runs it, how fast, and all secrets. A
        stopped run is resumed only if they are the same."""
        apart = {entry.key for entry in self.entries.values() if entry.tells_runs_apart}
        names = {name for name, key in keys_of(type(self)).items() if key in apart}
        return self.model_dump(mode="json", include=names)


def keys_of(model: type[BaseModel]) -> dict[str, str]:
    """Each attribute's key in a spec file."""
    return {name: field.alias or name for name, field in model.model_fields.items()}


def spec_keys(model: type[BaseModel]) -> list[str]:
    """Every key of a spec, as users write it: the options of the command line."""
    return [word_of(key) for key in keys_of(model).values()]


def word_of(key: str) -> str:
    """How users write a key."""
    return key.replace("_", "-")


M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], data: Mapping[str, Any]) -> M:
    """The user's input, validated by this model.

    Raises:
        BadSpec: with every fault, the nearest valid key for an unknown one.
    """
    try:
        found = model.model_validate(data)
    except ValidationError as error:
        faults = [_explain(model, fault) for fault in error.errors()]
        raise BadSpec(list(dict.fromkeys(faults))) from None
    if isinstance(found, SpecModel) and (together := found.faults()):
        raise BadSpec(together)
    return found


def _explain(model: type[BaseModel], fault: Any) -> str:
    first, *rest = (str(part) for part in fault["loc"]) if fault["loc"] else ("",)
    key = ".".join((word_of(first), *rest))
    if fault["type"] == "extra_forbidden":
        import difflib  # only a fault needs it

        last = str(fault["loc"][-1])
        inner = _inner(model, (first, *rest))
        if (written := last.replace("-", "_")) != last and written in keys_of(inner).values():
            return f"unknown key {key!r}: here it is {written}, as Python spells names"
        near = difflib.get_close_matches(word_of(last), spec_keys(inner), n=1)
        return f"unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    message = fault["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if meant := _nearest(fault):
        message += f"; did you mean {meant!r}?"
    if isinstance(fault.get("input"), int):
        message += f", not {fault['input']}"
    return f"{key}: {message}" if key else message


def _nearest(fault: Any) -> str:
    """Of a choice, the valid one that was probably meant."""
    if fault["type"] not in ("enum", "literal_error") or not isinstance(fault["input"], str):
        return ""
    import difflib  # only a fault needs it

    choices = re.findall(r"'([^']*)'", fault["ctx"]["expected"])
    return next(iter(difflib.get_close_matches(fault["input"], choices, n=1)), "")


def _inner(model: type[BaseModel], place: Sequence[str]) -> type[BaseModel]:
    """The model that has the unknown key at a place: a nested one if the error is inside it."""
    for key in place[:-1]:
        named = {alias: model.model_fields[name] for name, alias in keys_of(model).items()}
        if key in named:  # others number a list's items, or name a mapping's
            nested = list(_models(named[key].annotation))
            model = nested[0] if nested else model
    return model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for one in get_args(annotation):
        yield from _models(one)
