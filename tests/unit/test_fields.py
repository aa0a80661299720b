"""Every word of a spec is one entry, and everything that users see of it is made from that."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from typing import Any, get_args, get_origin

import click
import pytest
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from windlass.airflow.form import NAMED, fields_of, migration_fields
from windlass.cli.commands import windlass
from windlass.cli.example import example
from windlass.cli.reference import reference
from windlass.flows.registry import entries_of, spec_flows
from windlass.flows.specs import model_of
from windlass.spec.fields.entry import EVERY_FLOW, REQUIRED, Entry, Kind
from windlass.spec.model import SpecModel, spec_keys
from windlass.spec.schema import json_schema

ENTRIES = {flow.name: entries_of(flow) for flow in spec_flows()}
EVERY = [(flow, entry) for flow, entries in ENTRIES.items() for entry in entries.values()]
OFFERED = [(flow, entry) for flow, entry in EVERY if entry.option]


# made once for all entries
reference, example = cache(reference), cache(example)


@cache
def properties_of(flow: str) -> Any:
    return json_schema(model_of(flow))["properties"]


def named(value: object) -> str | None:
    return value.word if isinstance(value, Entry) else None


def test_a_word_is_the_same_option_in_every_flow() -> None:
    """Hints are written without knowing which command shows them."""
    flags: dict[str, set[str]] = {}
    for _, entry in OFFERED:
        flags.setdefault(entry.word, set()).add(entry.flag)
    assert {word: found for word, found in flags.items() if len(found) > 1} == {}


@pytest.mark.parametrize("flow", ENTRIES)
def test_a_model_has_a_field_for_each_entry_in_its_order(flow: str) -> None:
    every = [entry.word for entry in EVERY_FLOW]  # pydantic has a base's fields first
    assert spec_keys(model_of(flow)) == [*every, *list(ENTRIES[flow])[: -len(every)]]
    assert list(ENTRIES[flow])[-len(every) :] == every


@pytest.mark.parametrize(("flow", "entry"), EVERY, ids=named)
def test_a_field_has_the_type_of_its_entry(flow: str, entry: Entry) -> None:
    assert entry.kind in kinds_of(type_of(model_of(flow), entry), entry)


@pytest.mark.parametrize(("flow", "entry"), EVERY, ids=named)
def test_a_field_takes_the_entry_s_default_and_choices_and_nothing_beyond(
    flow: str, entry: Entry
) -> None:
    takes = TypeAdapter(type_of(model_of(flow), entry)).validate_python
    if entry.default is not REQUIRED:
        takes(entry.default() if callable(entry.default) else entry.default)
    for choice in entry.choices:
        takes(str(choice))
    if entry.choices:
        with pytest.raises(ValidationError):
            takes("none of them")


@pytest.mark.parametrize(("flow", "entry"), OFFERED, ids=named)
def test_a_command_has_an_option_of_each_entry(flow: str, entry: Entry) -> None:
    (found,) = [one for one in options_of(flow) if entry.flag in one.opts]
    assert found.help == entry.help
    if isinstance(found.type, click.Choice):
        assert tuple(found.type.choices) == entry.choices


@pytest.mark.parametrize(("flow", "entry"), OFFERED, ids=named)
def test_the_reference_has_each_entry(flow: str, entry: Entry) -> None:
    section = reference().split(f"## windlass {flow}\n")[1].split("\n## ")[0]
    assert any(entry.flag in line for line in section.splitlines() if line.startswith("| `"))


@pytest.mark.parametrize(("flow", "entry"), EVERY, ids=named)
def test_the_example_and_the_json_schema_have_each_entry(flow: str, entry: Entry) -> None:
    assert f"{entry.word}: {entry.example}\n" in example(flow)
    assert properties_of(flow)[entry.word]["description"] == entry.text


@pytest.mark.parametrize(
    "entry", [one for one in ENTRIES["migrate"].values() if one.option], ids=named
)
def test_a_verification_takes_every_option_of_a_migration(entry: Entry) -> None:
    (found,) = [one for one in options_of("verify") if entry.flag in one.opts]
    assert found.hidden is not entry.compares
    assert found.help == (entry.comparing or entry.help)


@pytest.mark.parametrize("entry", ENTRIES["migrate"].values(), ids=named)
def test_airflow_s_form_has_each_entry_unless_it_says_what_becomes_of_it(entry: Entry) -> None:
    names = {one.name for one in migration_fields()}
    assert {one.name for one in fields_of(entry)} <= names
    if entry.word not in NAMED:
        assert entry.key in names


def test_other_options_of_a_migration_are_no_words_of_its_spec() -> None:
    offered = {word for one in options_of("migrate") for word in one.opts if word[:2] == "--"}
    others = {"file", "plan", "restart", "differences", "json", "quiet", "verbose"}
    words = {entry.flag for entry in ENTRIES["migrate"].values()}
    assert offered - words == {f"--{one}" for one in others}


def test_the_entries_load_nothing_heavy() -> None:
    read = "import sys, windlass.flows.registry as all; [*map(all.entries_of, all.spec_flows())]"
    code = f"{read}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "click", "yaml", "psycopg"} & set(ran.stdout.split())


def options_of(command: str) -> list[click.Option]:
    return [one for one in windlass.commands[command].params if isinstance(one, click.Option)]


def type_of(model: type[SpecModel], entry: Entry) -> Any:
    (found,) = [one for one in model.model_fields.values() if one.alias == entry.key]
    return found.rebuild_annotation()


def kinds_of(annotation: Any, entry: Entry) -> set[Kind]:
    """What a value of this type can be given as."""
    if hasattr(annotation, "__metadata__"):
        return kinds_of(get_args(annotation)[0], entry)
    if type(None) in get_args(annotation):
        (inner,) = set(get_args(annotation)) - {type(None)}
        return kinds_of(inner, entry)
    if get_origin(annotation) is dict:
        return {Kind.PAIRS, Kind.OTHER}
    if get_origin(annotation) is tuple:
        return {Kind.LIST, Kind.OTHER}
    if entry.choices:
        return {Kind.CHOICE} if [*annotation] == [*entry.choices] else set()
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {Kind.PAIRS, Kind.OTHER}
    plain: dict[Any, set[Kind]] = {
        bool: {Kind.FLAG},
        int: {Kind.NUMBER, Kind.SIZE},
        float: {Kind.NUMBER},
        str: {Kind.TEXT},
        SecretStr: {Kind.TEXT},
    }
    return plain.get(annotation, {Kind.OTHER})
