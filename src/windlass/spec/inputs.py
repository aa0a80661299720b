"""What a load reads, and how its files are written: the parts of a load's spec."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from windlass.model.digest import digest
from windlass.spec.model import SpecPart, Words, or_text, with_underscores

REMOTE = ("http", "https", "s3", "gs", "az", "file")


def _character(value: str) -> str:
    value = {"tab": "\t", "\\t": "\t", "space": " "}.get(value, value)
    if len(value) > 1 or value in ("\n", "\r"):
        raise ValueError("is one character, or `tab`, or empty for none")
    return value


Character = Annotated[str, AfterValidator(_character)]


class CsvSpec(SpecPart):
    """How a CSV file is written."""

    delimiter: Character | None = None
    """One character, or `tab`. Default: a comma; in TSV a tab."""
    quote: Character = '"'
    """Around values that hold delimiters or line breaks; empty: there are no quotes."""
    escape: Character = ""
    """Before a quote inside quotes; empty: a quote is doubled there."""
    header: bool = True
    """Whether the first line has the fields' names."""
    names: Words = ()
    """The fields' names, instead of the header's."""
    null: Words = ()
    """Unquoted texts that stand for NULL. Default: none, and an empty field is an empty text."""
    encoding: str = "utf-8"
    """As Python names it; UTF-8 may begin with a byte order mark."""
    skip: Annotated[int, Field(ge=0)] = 0
    """How many lines come before the header."""
    comment: Character = ""
    """The beginning of lines that are not records; empty: there are none."""
    decimal: Literal[".", ","] = "."
    """Between a number's whole part and its fraction."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_a_word(cls, data: Any) -> Any:
        """YAML reads the key `null` as no value."""
        if isinstance(data, dict) and None in data:
            data = {"null" if key is None else key: value for key, value in data.items()}
        return with_underscores(data)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> CsvSpec:
        _codec(self.encoding)
        if not self.header and not self.names:
            raise ValueError("without a header, give the fields' names")
        marks = [one for one in (self.delimiter or ",", self.quote, self.comment) if one]
        if len(set(marks)) < len(marks):
            raise ValueError("delimiter, quote and comment are different characters")
        return self


def _codec(name: str) -> None:
    import codecs

    try:
        codecs.lookup(name)
    except LookupError:
        raise ValueError(f"encoding: {name!r} is not one that Python knows") from None


class ApiSpec(SpecPart):
    """A JSON API that gives records in pages."""

    url: Annotated[str, Field(pattern=r"^https?://")]
    """The URL of the first page."""
    records: str = ""
    """Where the array of records is in a page, such as `data.items`. Default: the page itself."""
    next: str = ""
    """Where the next page's URL is in a page, such as `links.next`; or `link`: the header."""
    cursor: str = ""
    """Where the next page's cursor is in a page, such as `meta.cursor`."""
    cursor_parameter: str = "cursor"
    """The URL parameter for the cursor."""
    page: str = ""
    """The URL parameter for the page's number; a page without records is the last."""
    first_page: int = 1
    """The number of the first page."""
    token_env: str = ""
    """The environment variable that has the token; the token itself is never in a file."""
    token_header: str = "Authorization"
    """The header that the token is sent in."""
    token_prefix: str = "Bearer "
    """What comes before the token in that header."""

    @model_validator(mode="before")
    @classmethod
    def _dashes_are_underscores(cls, data: Any) -> Any:
        return with_underscores(data)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> ApiSpec:
        if sum(map(bool, (self.next, self.cursor, self.page))) > 1:
            raise ValueError("give one of next, cursor and page")
        return self


def _database(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise ValueError("is empty")
    return value


class InputSpec(SpecPart):
    """A file, URL or pattern; or a query or relation of a database; or an API."""

    model_config = ConfigDict(json_schema_extra=or_text)

    path: str = ""
    """A file, URL or shell pattern; a plain text is short for this."""
    source: Annotated[SecretStr | None, BeforeValidator(_database)] = None
    """A database to read from: `postgresql://`, `sqlite:///path` or `duckdb:///path`."""
    query: str = ""
    """A SELECT in the source's SQL, whose columns all have names."""
    relation: str = ""
    """A table or view of the source, schema.table."""
    api: ApiSpec | None = None
    """A JSON API that gives records in pages."""

    @model_validator(mode="before")
    @classmethod
    def _a_text_is_a_path(cls, data: Any) -> Any:
        return {"path": data} if isinstance(data, str) else with_underscores(data)

    @model_validator(mode="after")
    def _says_one_thing(self) -> InputSpec:
        given = [self.path, self.source, self.api]
        if sum(map(bool, given)) != 1:
            raise ValueError("give a path, a source with a query or relation, or an api")
        if self.source and bool(self.query) == bool(self.relation):
            raise ValueError("a source needs either query or relation")
        if not self.source and (self.query or self.relation):
            raise ValueError("query and relation are of a source, which is not given")
        if "://" in self.path and (scheme := self.path.partition("://")[0]) not in REMOTE:
            hint = _instead_of(scheme)
            raise ValueError(f"{scheme}:// is not one of {', '.join(REMOTE)}{hint}")
        return self

    @property
    def is_query(self) -> bool:
        """Whether it is read from a database."""
        return self.source is not None

    @property
    def described(self) -> str:
        """For people, and for telling runs apart: without secrets, the same for the same input."""
        if self.source:
            what = self.relation or digest(self.query)[:12]
            return f"{_without_secrets(self.source.get_secret_value())} {what}"
        if self.api:
            rest = self.api.model_dump(mode="json", exclude={"url"}, exclude_defaults=True)
            return f"{_without_secrets(self.api.url)} {digest(sorted(rest.items()))[:12]}"
        return _without_secrets(self.path)


def _instead_of(scheme: str) -> str:
    if scheme.partition("+")[0] in ("postgresql", "postgres", "sqlite", "duckdb"):
        return (
            "; a database is given as {source: URL, query: SELECT} or {source: URL, relation: NAME}"
        )
    return ""


_CONNINFO = re.compile(r"\s*[a-z_]+\s*=")


def _without_secrets(text: str) -> str:
    """A URL without its user's password, and with a hash of its parameters, which may hold
    tokens."""
    if _CONNINFO.match(text):
        kept = re.findall(r"\b(?:host|port|dbname|service)\s*=\s*\S+", text)
        return " ".join(kept)
    if "://" not in text:
        return text
    parts = urlsplit(text)
    query = f"?{digest(parts.query)[:12]}" if parts.query else ""
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}{query}"


class ExpectSpec(SpecPart):
    """What must hold for the rows: one of these, and how severe a violation is."""

    model_config = ConfigDict(json_schema_extra=or_text)

    not_null: Words = ()
    """Columns that have a value in every row."""
    unique: Words = ()
    """Columns whose values together are unique."""
    range: dict[str, tuple[int | float | str | None, int | float | str | None]] = Field(
        default_factory=dict
    )
    """Columns, each with its lowest and highest value, or null for none: `{total: [0, null]}`."""
    accepted: dict[str, tuple[bool | int | float | str, ...]] = Field(default_factory=dict)
    """Columns, each with the values that it may have: `{state: [new, paid]}`."""
    foreign_key: dict[str, str] = Field(default_factory=dict)
    """Columns, each with the `schema.table.column` that has all of its values."""
    rows: tuple[int | None, int | None] | None = None
    """The lowest and the highest number of rows: `[1, null]`."""
    sql: str = ""
    """A condition in the target's SQL; a plain text is short for this."""
    severity: Literal["stop", "warn"] = "stop"
    """`stop` the load, or only `warn`."""

    @model_validator(mode="before")
    @classmethod
    def _a_text_is_a_condition(cls, data: Any) -> Any:
        return {"sql": data} if isinstance(data, str) else with_underscores(data)

    @model_validator(mode="after")
    def _says_one_thing(self) -> ExpectSpec:
        given = (self.not_null, self.unique, self.range, self.accepted, self.foreign_key,
                 self.rows, self.sql)  # fmt: skip
        if sum(map(bool, given)) != 1:
            raise ValueError(
                "is one of not-null, unique, range, accepted, foreign-key, rows and sql"
            )
        return self
