"""Opens the inputs of a load: files, URLs and APIs, and queries of databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from windlass.engines.inputs import open_inputs
from windlass.engines.landing import Input, Landing
from windlass.errors import BadRecord, BadSpec, Refused, WindlassError
from windlass.flows.load.fetched import Fetched
from windlass.flows.load.functions import Called
from windlass.flows.load.since import CannotCompare, from_watermark, order_of
from windlass.loading.made import Opened
from windlass.loading.words import words_of
from windlass.model.export import NUMBERS
from windlass.model.inputs import (
    ApiFrom,
    Compression,
    Csv,
    Excel,
    FilesFrom,
    Format,
    From,
    QueryFrom,
)
from windlass.model.load import Field, Load, Table
from windlass.model.report import Problem
from windlass.spec.inputs import ApiSpec, CsvSpec, InputSpec
from windlass.spec.load import OneLoad


def opened_of(
    one: OneLoad, table: Table, target: Landing, fetched: Fetched, *, whole: bool = False
) -> tuple[Sequence[Input], Opened]:
    """The inputs of a load, and what is known about them. An input that cannot be opened is a
    problem. `whole`: read all rows, whatever the watermark of the last load."""
    inputs: list[Input] = []
    problems: list[Problem] = []
    for given in sources_of(one, table):
        try:
            inputs += _opened(one, given, table, target, fetched, whole)
        except (Refused, BadSpec, BadRecord, WindlassError) as error:
            if error.retryable:
                raise
            problems += _problems(error, one.into)
    if one.function and not problems:
        try:
            inputs = [Called(it, one.function, one.frame, one.max_bad) for it in inputs]
        except WindlassError as error:
            problems += _problems(error, one.into)
    problems += _other_fields(inputs)
    fields: tuple[Field, ...] = tuple(inputs[0].fields) if inputs else ()
    places = tuple(it.place for it in inputs) or tuple(it.described for it in one.from_)
    identities = () if problems else tuple(it.identity for it in inputs)
    return inputs, Opened(places, fields, identities, tuple(problems))


def _opened(
    one: OneLoad, given: From, table: Table, target: Landing, fetched: Fetched, whole: bool
) -> Sequence[Input]:
    folder = fetched.made() if is_remote(given) else None
    found = open_inputs(given, folder, is_stopped=fetched.is_stopped)
    if not (one.since and isinstance(given, QueryFrom)):
        return found
    source = next((it.column for it in found[0].fields if it.name == one.since), None)
    column = table.column(_column_of(one, one.since))
    try:
        order = order_of(given, source, column, one.overlap_seconds)
    except CannotCompare as error:
        raise Refused([Problem(one.into, str(error), error.hint)]) from error
    places = tuple(it.place for it in found)
    load = Load(table, words_of(one), (), (), watermark=one.since, inputs=places)
    last = "" if whole else target.watermark(load)
    if not last:
        return found
    return open_inputs(from_watermark(given, one.since, last, one.overlap_seconds, order))


def _column_of(one: OneLoad, field: str) -> str:
    """The column that a field goes into."""
    if (rule := one.columns.get(field)) and rule.to:
        return rule.to
    from_it = (name for name, rule in one.columns.items() if rule.from_ == field and not rule.mask)
    return next(from_it, field)


def is_remote(given: From) -> bool:
    if isinstance(given, FilesFrom):
        return any("://" in one for one in given.locations)
    return isinstance(given, ApiFrom)


def _problems(error: WindlassError, subject: str) -> list[Problem]:
    if isinstance(error, Refused):
        return list(error.problems)
    if isinstance(error, BadSpec):
        return [Problem(subject, fault, error.hint) for fault in error.faults]
    return [Problem(subject, str(error), error.hint)]


def _other_fields(inputs: Sequence[Input]) -> Iterator[Problem]:
    """Inputs of different kinds must have the same fields. Files alone have been compared
    already."""
    for other in inputs[1:]:
        first = inputs[0]
        names, wanted = [it.name for it in other.fields], [it.name for it in first.fields]
        if sorted(names) != sorted(wanted):
            message = f"has the fields {', '.join(names)}; {first.place} has {', '.join(wanted)}"
            yield Problem(other.place, message, "load inputs with other fields by another load")


def sources_of(one: OneLoad, table: Table) -> Iterator[From]:
    """What a load reads, in the spec's order; files side by side are one source."""
    files: list[str] = []
    for given in one.from_:
        if given.path:
            files.append(given.path)
            continue
        if files:
            yield _files(one, files, table)
            files = []
        yield _other(given)
    if files:
        yield _files(one, files, table)


def _files(one: OneLoad, locations: Sequence[str], table: Table) -> FilesFrom:
    sheet = int(one.sheet) if one.sheet.isdigit() else one.sheet or 1
    csv = one.csv
    return FilesFrom(
        tuple(locations),
        Format(one.format or ""),
        Compression(one.compression or ""),
        one.member,
        _csv(csv, list(_numbers(one, table)) if csv.decimal != "." else ()),
        excel=Excel(sheet, csv.header, csv.names, csv.skip),
        unlimited=one.unlimited,
        most_bad=one.max_bad,
        store_options=tuple(one.store_options.items()),
    )


def _csv(csv: CsvSpec, numbers: Sequence[str]) -> Csv:
    return Csv(
        csv.delimiter or "", csv.quote, csv.escape, csv.header, csv.names, csv.null, csv.encoding,
        csv.skip, csv.comment, csv.decimal, tuple(numbers),
    )  # fmt: skip


def _numbers(one: OneLoad, table: Table) -> Iterator[str]:
    """Fields for numeric columns: their decimal sign may not be a point."""
    names = {rule.to: field for field, rule in one.columns.items() if rule.to}
    names |= {name: rule.from_ for name, rule in one.columns.items() if rule.from_}
    for column in table.columns:
        if column.kind in NUMBERS:
            yield names.get(column.name, column.name)


def _other(given: InputSpec) -> From:
    if given.api:
        return _api(given.api)
    assert given.source is not None
    return QueryFrom(given.source.get_secret_value(), given.relation, given.query)


def _api(api: ApiSpec) -> ApiFrom:
    return ApiFrom(
        api.url, api.records, api.next, api.cursor, api.cursor_parameter, api.page, api.first_page,
        api.token_env, api.token_header, api.token_prefix,
    )  # fmt: skip
