"""A spec says what the user asked for, or every fault in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.cli.example import example
from windlass.errors import BadSpec
from windlass.flows.registry import spec_flows
from windlass.flows.specs import load, model_of, read_any
from windlass.spec.choices import Verify
from windlass.spec.migrate import Spec
from windlass.spec.model import parse_bytes, spec_keys
from windlass.spec.rewrite import RewriteSpec
from windlass.spec.schema import json_schema


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WINDLASS_SOURCE", raising=False)
    monkeypatch.delenv("WINDLASS_TARGET", raising=False)


FLOWS = [flow.name for flow in spec_flows()]


def load_spec(
    words: Mapping[str, Any], path: Path | None = None, needs: Sequence[str] = ()
) -> Spec:
    found = load("migrate", words, path, needs=needs)
    assert isinstance(found, Spec)
    return found


def faults_of(words: dict[str, Any], path: Path | None = None, needs: tuple[str, ...] = ()) -> str:
    with pytest.raises(BadSpec) as caught:
        load_spec(words, path, needs=needs)
    return "\n".join(caught.value.faults)


def written(folder: Path, text: str) -> Path:
    path = folder / "shop.yaml"
    path.write_text(text)
    return path


FAULTS = [
    ({"chunk_sise": "1MB"}, "unknown key 'chunk-sise'; did you mean 'chunk-size'?"),
    ({"map_schemas": {}, "jobs": 2, "sorce": "x"}, "unknown key 'sorce'; did you mean 'source'?"),
    ({"qqq": 1}, "unknown key 'qqq'"),
    ({"jobs": 0}, "jobs: input should be greater than or equal to 1"),
    ({"chunk_size": "12QB"}, "chunk-size: '12QB' is not a size such as 64MB"),
    ({"chunk_size": "1kB"}, "chunk-size: input should be greater than or equal to 65536"),
    ({"chunk_by": "rows"}, "chunk-by: input should be 'auto', 'ctid', 'keyset' or 'whole'"),
    ({"existing": "drop"}, "existing: input should be 'refuse', 'replace' or 'fill'"),
    ({"verify": "some"}, "verify: input should be 'none', 'counts' or 'full'"),
    ({"map_schema": {"a": "x", "b": "x"}}, "map-schema gives two schemas the same new name"),
    ({"schema_only": True, "data_only": True}, "schema-only and data-only exclude each other"),
    ({"data_only": True, "existing": "replace"}, "data-only fills relations that exist"),
    (
        {"no_reverse": True, "apply_ddl": True},
        "no-reverse, apply-ddl: only for a run that follows, so give follow",
    ),
    ({"max_retained_wal": "1GB"}, "max-retained-wal: only for a run that follows"),
    (
        {"source": "postgresql://a/b", "target": "postgresql://c/d", "types": {"t.a": "text"}},
        "types are for a source or a target of another engine",
    ),
]


@pytest.mark.parametrize(("words", "fault"), FAULTS)
def test_a_fault_is_named_in_the_words_of_the_command_line(
    words: dict[str, Any], fault: str
) -> None:
    assert fault in faults_of(words)


def test_every_fault_is_listed() -> None:
    words = {"jobs": 0, "chunk_by": "x", "nope": 1}
    assert len(faults_of(words, needs=("source", "target")).splitlines()) == 5


FILES = [
    ("jobs: [1", "shop.yaml line 1: "),
    ("- a\n- b\n", "a spec is a mapping of keys to values"),
    ("just words", "a spec is a mapping of keys to values"),
    ("chunk-sise: 1MB", "did you mean 'chunk-size'?"),
]


@pytest.mark.parametrize(("text", "fault"), FILES)
def test_a_faulty_file_is_explained(tmp_path: Path, text: str, fault: str) -> None:
    assert fault in faults_of({}, written(tmp_path, text))


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    assert "shop.yaml: No such file" in faults_of({}, tmp_path / "shop.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert "binary.yaml: not a text file in UTF-8" in faults_of({}, binary)


def test_an_empty_file_is_a_spec(tmp_path: Path) -> None:
    assert load_spec({}, written(tmp_path, "")) == Spec()


@pytest.mark.parametrize("key", ["chunk-size", "chunk_size"])
def test_keys_may_be_written_as_options_or_as_names(tmp_path: Path, key: str) -> None:
    assert load_spec({}, written(tmp_path, f"{key}: 1MB")).chunk_size == 1 << 20


def test_the_command_line_wins_over_the_file_and_the_file_over_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINDLASS_SOURCE", "from-environment")
    monkeypatch.setenv("WINDLASS_TARGET", "from-environment")
    path = written(tmp_path, "source: from-file\njobs: 3\nverify: counts\n")
    spec = load_spec({"jobs": 7, "verify": None, "schema": ()}, path)
    assert spec.source is not None
    assert spec.target is not None
    assert spec.source.get_secret_value() == "from-file"
    assert spec.target.get_secret_value() == "from-environment"
    assert (spec.jobs, spec.verify_) == (7, Verify.COUNTS)


def test_one_word_is_a_list_of_one() -> None:
    assert load_spec({"schema": "shop"}).schemas == ("shop",)


def test_a_password_does_not_show_in_a_spec() -> None:
    spec = load_spec({"source": "postgresql://app:hunter22@h/shop"})
    assert "hunter22" not in f"{spec} {spec!r} {spec.model_dump_json()}"


def test_passwords_and_speed_do_not_make_another_move() -> None:
    one = load_spec({"source": "a", "target": "b", "jobs": 1, "schema": ["s"]})
    other = load_spec({"source": "c", "target": "d", "jobs": 9, "schema": ["s"]})
    assert one.config() == other.config()
    assert one.config() != load_spec({"schema": ["t"]}).config()


SIZES = [
    ("64MB", 64 << 20),
    ("1.5 GB", 3 << 29),
    ("8192", 8192),
    ("2k", 2048),
    (7, 7),
    ("1tb", 1 << 40),
]


@pytest.mark.parametrize(("text", "size"), SIZES)
def test_sizes_are_postgresqls(text: str | int, size: int) -> None:
    assert parse_bytes(text) == size


@given(st.text() | st.from_regex(r"[0-9]{1,400}(\.[0-9]+)?[kKmMgGtT]?[bB]?"))
def test_any_text_is_a_size_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert parse_bytes(text) >= 0


HOOKS = ("before-run", "after-run", "before-load", "after-load")
# keys that say nothing without another
NEEDS = {
    **dict.fromkeys(HOOKS, "warehouse"),
    "django-folder": "django",
    "django-python": "django",
    **dict.fromkeys(("no-reverse", "set-identity", "max-retained-wal", "apply-ddl"), "follow"),
}
OF_OTHERS = ("django", "django-folder", "django-python", "types")  # for a source of another engine


@pytest.mark.parametrize("flow", FLOWS)
def test_an_example_loads_and_so_does_each_of_its_comments(tmp_path: Path, flow: str) -> None:
    assert read_any(written(tmp_path, example(flow))).flow == flow
    keys = spec_keys(model_of(flow))
    lines = example(flow).splitlines()
    bare = [one for one in lines if not one.startswith("#")]
    comments = {
        one.split(":")[0]: one
        for one in (line.removeprefix("# ") for line in lines if line.startswith("# "))
        if one.split(":")[0] in keys
    }
    for key, line in comments.items():
        needed = [comments[NEEDS[key]]] if NEEDS.get(key) in comments else []
        text = "\n".join([*bare, *needed, line])
        text = re.sub("(?m)^follow: false", "follow: true", text)
        if key in OF_OTHERS:
            text = re.sub("(?m)^source: .*", "source: sqlite:///shop.db", text)
        read_any(written(tmp_path, text))


@pytest.mark.parametrize("flow", FLOWS)
def test_an_example_has_every_key(flow: str) -> None:
    assert all(f"{key}: " in example(flow) for key in spec_keys(model_of(flow)))


OF_FLOWS = [
    ("source: a\ntarget: b", "migrate"),
    ("flow: migrate\nsource: a\ntarget: b", "migrate"),
    ("connection: a\ntable: t\nselect: a = 1", "rewrite"),
    ("flow: rewrite\nconnection: a\ntable: t\nselect: a = 1", "rewrite"),
    ("source: a\nto: file:///f", "export"),
    ("flow: export\nsource: a\nto: file:///f", "export"),
]


@pytest.mark.parametrize(("text", "flow"), OF_FLOWS)
def test_a_file_says_which_flow_it_is_for(tmp_path: Path, text: str, flow: str) -> None:
    assert type(read_any(written(tmp_path, text))) is model_of(flow)


def test_options_are_added_to_a_file_of_any_flow(tmp_path: Path) -> None:
    path = written(tmp_path, "flow: rewrite\ntable: t\nselect: a = 1")
    spec = read_any(path, {"target": "service=shop", "jobs": None})
    assert isinstance(spec, RewriteSpec)
    assert spec.connection is not None


OF_ANOTHER_FLOW = [
    (
        "flow: rewrit\ntable: t",
        "flow: 'rewrit' is not a flow; did you mean 'rewrite'?",
        "",
    ),
    ("flow: [x]", "flow: \"['x']\" is not a flow; there are migrate, rewrite, export", ""),
    ("select: a = 1", "unknown key 'select'", "select: of a spec for rewrite; say flow: rewrite"),
    ("flow: rewrite\ntable: t\njobs: 2", "unknown key 'jobs'", ""),
]


@pytest.mark.parametrize(("text", "fault", "hint"), OF_ANOTHER_FLOW)
def test_keys_of_another_flow_are_named_with_it(
    tmp_path: Path, text: str, fault: str, hint: str
) -> None:
    with pytest.raises(BadSpec) as caught:
        read_any(written(tmp_path, text))
    assert any(one.startswith(fault) for one in caught.value.faults)
    assert hint in caught.value.hint
    assert bool(caught.value.hint) is bool(hint)


def test_a_command_refuses_a_file_for_another_flow(tmp_path: Path) -> None:
    path = written(tmp_path, "flow: rewrite\ntable: t\nselect: a = 1")
    with pytest.raises(BadSpec, match="this is a spec for rewrite, not for migrate") as caught:
        load_spec({}, path)
    assert caught.value.hint == f"run windlass rewrite -f {path}"


def test_the_json_schema_completes_the_words_and_knows_their_other_spelling() -> None:
    schema = json.loads(json.dumps(json_schema(Spec)))
    assert set(schema["properties"]) == {"flow", *spec_keys(Spec)}
    assert schema["additionalProperties"] is False
    assert "^chunk_size$" in schema["patternProperties"]
    assert all(value["description"] for value in schema["properties"].values())


@pytest.mark.parametrize("flow", FLOWS)
def test_each_flow_s_json_schema_has_its_keys(flow: str) -> None:
    schema = json.loads(json.dumps(json_schema(model_of(flow))))
    assert set(schema["properties"]) == {"flow", *spec_keys(model_of(flow))}
    assert schema["properties"]["flow"]["const"] == flow
