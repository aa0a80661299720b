"""Exports whose result is files: what is published about them, increments, partitions, and how a
large relation is read."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import jsonschema
import pytest

from awaiting import until
from command import windlass
from export_shop import shop
from exporting import export, rows, spec_file
from killing import kill
from paths import DOCS
from servers import Database
from windlass.engines.objects.store import ObjectStore
from windlass.flows.export import extracting
from windlass.flows.export.publishing import LATEST, Published, schema
from windlass.model.published import RunManifest

__all__ = ["shop"]  # fixtures

FILES: dict[str, Any] = {"relations": "shop.orders", "warehouse": None}
SCHEMA = DOCS / "schemas" / "manifest.json"


def latest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "files" / "latest.json").read_text())
    return found


def query(text: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        return connection.execute(text).fetchall()


def paths(folder: Path, relation: str = "shop.orders") -> list[str]:
    """The files of the latest run."""
    (found,) = (one for one in latest(folder)["relations"] if one["name"] == relation)
    return [str(folder / "files" / one["path"]) for one in found["files"]]


# the manifest of a run


def test_the_latest_manifest_lists_every_file_with_its_checksum(
    shop: Database, tmp_path: Path
) -> None:
    shop.run("create table shop.empty (n numeric(12,2) not null)")
    ran = export(shop, tmp_path, **{**FILES, "relations": "shop.*"}).expect(0).result
    manifest = latest(tmp_path)
    jsonschema.validate(manifest, json.loads(SCHEMA.read_text()))
    assert (manifest["run"], manifest["rows"], manifest["files"]) == (ran["run"], 100, 2)
    for relation in manifest["relations"]:
        for file in relation["files"]:
            content = (tmp_path / "files" / file["path"]).read_bytes()
            assert len(content) == file["bytes"]
            assert hashlib.sha256(content).hexdigest() == file["sha256"]
    columns = {one["name"]: one["columns"] for one in manifest["relations"]}
    assert [(one["type"], one["kind"], one["nullable"]) for one in columns["shop.empty"]] == [
        ("numeric(12,2)", "decimal(12,2)", False)
    ]


def test_the_published_schema_is_that_of_the_code() -> None:
    assert json.loads(SCHEMA.read_text()) == schema()


def test_what_is_loaded_and_removed_is_not_published(shop: Database, tmp_path: Path) -> None:
    export(shop, tmp_path, relations="shop.orders").expect(0)
    assert not (tmp_path / "files" / "latest.json").exists()
    export(shop, tmp_path, relations="shop.orders", keep_files=True).expect(0)
    assert len(paths(tmp_path)) == 1


@pytest.mark.parametrize(
    "place", ["after extract", "call windlass.engines.objects.store:ObjectStore.put 4"]
)
def test_a_run_that_was_killed_is_not_the_latest_before_it_is_whole(
    place: str, shop: Database, tmp_path: Path
) -> None:
    first = export(shop, tmp_path, **FILES).expect(0).result["run"]
    path = spec_file(tmp_path, **FILES)
    kill(place, ["export", "--json", "-f", str(path)], {"WINDLASS_SOURCE": shop.url})
    assert latest(tmp_path)["run"] == first
    second = export(shop, tmp_path, **FILES).expect(0).result
    assert second["resumed"] and latest(tmp_path)["run"] == second["run"]


def test_a_run_of_an_earlier_snapshot_does_not_replace_the_latest(
    shop: Database, tmp_path: Path
) -> None:
    export(shop, tmp_path, **FILES).expect(0)
    file = tmp_path / "files" / "latest.json"
    later = {**latest(tmp_path), "run": "later", "read_at": "9000-01-01T00:00:00.000000Z"}
    file.write_text(json.dumps(later))
    ran = export(shop, tmp_path, **FILES).expect(0).result
    assert latest(tmp_path)["run"] == "later"
    assert any("a later snapshot" in notice for notice in ran["notices"])


class PublishingBeside(ObjectStore):
    """Another run is published when this one has seen `latest.json`, and is about to replace it."""

    def __init__(self, url: str, other: RunManifest) -> None:
        super().__init__(url)
        self._others = [other]

    def put(self, path: str, content: bytes) -> None:
        while path == LATEST and self._others:
            Published(ObjectStore(self.url)).publish(self._others.pop())
        super().put(path, content)


@pytest.mark.parametrize("later", ["theirs", "mine"])
def test_of_two_runs_that_end_at_once_the_later_snapshot_is_the_latest(
    tmp_path: Path, later: str
) -> None:
    url, at = f"file://{tmp_path}/files", "2026-01-01T00:00:0{}.000000Z"
    runs = {
        run: RunManifest(run, "shop", "id", at.format(1 + (run == later)), "", 0, 0, 0, ())
        for run in ("mine", "theirs")
    }
    is_latest = Published(PublishingBeside(url, runs["theirs"])).publish(runs["mine"])
    assert latest(tmp_path)["run"] == later
    assert is_latest == (later == "mine")


def test_the_latest_of_another_source_is_not_replaced(
    shop: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    export(shop, tmp_path, **FILES).expect(0)
    other = database(18)
    other.run("create schema shop", "create table shop.orders (id int primary key)")
    ran = export(other, tmp_path, **FILES).expect(3)
    assert "shows the newest export of another source" in ran.said


def test_a_rollback_makes_the_run_before_the_latest(shop: Database, tmp_path: Path) -> None:
    runs = [export(shop, tmp_path, **FILES).expect(0).result["run"] for _ in range(2)]
    file = str(spec_file(tmp_path, **FILES))
    for run, left in zip(reversed(runs), (runs[0], None), strict=True):
        windlass("rollback", run, "--yes", "-f", file, env={"WINDLASS_SOURCE": shop.url}).expect(0)
        there = (tmp_path / "files" / "latest.json").exists()
        assert (latest(tmp_path)["run"] if there else None) == left


# increments


def appended(**more: Any) -> dict[str, Any]:
    relation = {"name": "shop.orders", "watermark": "id", **more}
    return {"relations": relation, "disposition": "append", "warehouse": None}


def committed(folder: Path) -> list[dict[str, Any]]:
    (where,) = {one["commits"] for one in latest(folder)["relations"]}
    found = sorted((folder / "files" / where).iterdir())
    return [json.loads(path.read_text()) for path in found]


def all_rows(folder: Path, columns: str = "id, note") -> list[tuple[Any, ...]]:
    """What a reader finds that takes the files of every commit."""
    files = [
        str(folder / "files" / file["path"]) for one in committed(folder) for file in one["files"]
    ]
    return query(f"select {columns} from read_parquet({files}) order by all")


@pytest.mark.parametrize("mark", ["id", "at"])
def test_append_writes_each_row_once(mark: str, shop: Database, tmp_path: Path) -> None:
    words = appended(watermark=mark)
    assert export(shop, tmp_path, **words).expect(0).result["rows"] == 100
    assert export(shop, tmp_path, **words).expect(0).result["rows"] == 0
    shop.run(
        "insert into shop.orders select n, timestamptz '2024-06-01Z' + n * interval '1 s', 'x'"
        " from generate_series(101, 150) n"
    )
    assert export(shop, tmp_path, **words).expect(0).result["rows"] == 50
    assert [one["number"] for one in committed(tmp_path)] == [1, 2]
    assert [row[0] for row in all_rows(tmp_path)] == list(range(1, 151))


def test_append_leaves_rows_whose_time_may_still_get_others(shop: Database, tmp_path: Path) -> None:
    """Of the future, and after the beginning of a transaction that is still writing."""
    words = appended(watermark="at")
    with shop.connect() as writer:
        writer.execute("begin")
        writer.execute("insert into shop.orders values (201, now(), 'late')")
        shop.run("insert into shop.orders values (202, now(), 'soon')")
        export(shop, tmp_path, **words).expect(0)
        writer.execute("commit")
    newest = "select max(at) from shop.orders"
    until(lambda: shop.value(f"select date_trunc('second', now()) > ({newest})"))
    export(shop, tmp_path, **words).expect(0)
    assert [row[0] for row in all_rows(tmp_path)] == [*range(1, 101), 201, 202]


PLACES = (
    "after extract",
    "call windlass.engines.objects.store:ObjectStore.create",
    "after load",
    "call windlass.flows.export.publishing:Published.publish",
)


@pytest.mark.parametrize("place", PLACES)
def test_append_that_was_killed_adds_its_rows_once(
    place: str, shop: Database, tmp_path: Path
) -> None:
    words = appended()
    path = spec_file(tmp_path, **words)
    kill(place, ["export", "--json", "-f", str(path)], {"WINDLASS_SOURCE": shop.url})
    shop.run("insert into shop.orders select n, now(), 'more' from generate_series(101, 130) n")
    export(shop, tmp_path, **words).expect(0)
    export(shop, tmp_path, **words).expect(0)
    assert [row[0] for row in all_rows(tmp_path)] == list(range(1, 131))


def test_of_two_runs_from_one_watermark_one_adds_its_rows(shop: Database, tmp_path: Path) -> None:
    words = appended()
    path = spec_file(tmp_path, **words)
    command = ["export", "--json", "-f", str(path), "--run", "slow"]
    kill("after check_objects", command, {"WINDLASS_SOURCE": shop.url})
    export(shop, tmp_path, "--restart", **words).expect(0)
    export(shop, tmp_path, "--run", "slow", **words).expect(0)
    assert [row[0] for row in all_rows(tmp_path)] == list(range(1, 101))


def test_append_refuses_rows_without_a_watermark(shop: Database, tmp_path: Path) -> None:
    shop.run(
        "alter table shop.orders add seen int", "update shop.orders set seen = id where id > 1"
    )
    ran = export(shop, tmp_path, **appended(watermark="seen")).expect(3)
    assert "rows have no watermark" in ran.said
    words = appended(watermark="seen", where="seen is not null")
    assert export(shop, tmp_path, **words).expect(0).result["rows"] == 99


def test_merge_writes_what_has_changed(shop: Database, tmp_path: Path) -> None:
    """A reader takes the row of the highest commit for each key."""
    words = {**appended(watermark="at"), "disposition": "merge"}
    export(shop, tmp_path, **words).expect(0)
    shop.run("update shop.orders set note = 'changed', at = '2024-02-01 00:00Z' where id = 7")
    export(shop, tmp_path, **words).expect(0)
    (first, second) = committed(tmp_path)
    assert (first["disposition"], first["key"], second["since"] != "") == ("merge", ["id"], True)
    versions = [
        (row, one["number"])
        for one in (first, second)
        for row in query(
            "select id, note from read_parquet({})".format(
                [str(tmp_path / "files" / file["path"]) for file in one["files"]]
            )
        )
    ]
    newest = {row[0]: row[1] for row, _ in sorted(versions, key=lambda one: one[1])}
    assert len(newest) == 100 and newest[7] == "changed" and newest[8] == "new"


def test_only_the_last_commit_can_be_rolled_back(shop: Database, tmp_path: Path) -> None:
    words = appended()
    runs = []
    for low in (1, 101):
        runs.append(export(shop, tmp_path, **words).expect(0).result["run"])
        shop.run(f"insert into shop.orders values ({low + 100}, now(), 'more')")
    file = str(spec_file(tmp_path, **words))
    env = {"WINDLASS_SOURCE": shop.url}
    refused = windlass("rollback", runs[0], "--yes", "-f", file, env=env).expect(3)
    assert "is of a later run" in refused.said
    windlass("rollback", runs[1], "--yes", "-f", file, env=env).expect(0)
    export(shop, tmp_path, **words).expect(0)
    assert [row[0] for row in all_rows(tmp_path)] == [*range(1, 101), 101, 201]


# partitions


def test_partitions_are_folders_as_hive_names_them(shop: Database, tmp_path: Path) -> None:
    values = ["a/b", "x=y", "50% off", "'q\"", "", None, "größe 1", "a:b?c*d"]
    shop.run("create table shop.p (id int, kind text, day date)")
    with shop.connect() as connection:
        for at, value in enumerate(values):
            connection.execute(
                "insert into shop.p values (%s, %s, '2024-01-31'), (%s, %s, null)",
                (2 * at, value, 2 * at + 1, value),
            )
    relation = {"name": "shop.p", "partition-by": ["day", "kind"]}
    export(shop, tmp_path, **{**FILES, "relations": relation}).expect(0)
    found = paths(tmp_path, "shop.p")
    assert len(found) == 16 and all(Path(path).is_file() for path in found)
    assert any("/day=2024-01-31/kind=a%2Fb/" in path for path in found)
    assert any("/day=__HIVE_DEFAULT_PARTITION__/kind=__HIVE_DEFAULT_PARTITION__/" in path
               for path in found)  # fmt: skip
    rows = query(
        f"select id, kind, day::text from read_parquet({found}, hive_partitioning = true,"
        " hive_types_autocast = false) order by id"
    )
    assert rows == [
        (2 * at + odd, value, None if odd else "2024-01-31")
        for at, value in enumerate(values)
        for odd in (0, 1)
    ]


def test_partitions_of_many_scattered_rows_keep_few_files_open(
    shop: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windlass.transfer.partitions.MOST_KEPT_BYTES", 20_000)
    monkeypatch.setattr("windlass.transfer.partitions.MOST_OPEN", 3)
    shop.run(
        "create table shop.p as select n as id, n % 40 as slot from generate_series(1, 20000) n"
    )
    relation = {"name": "shop.p", "partition-by": "slot"}
    export(shop, tmp_path, **{**FILES, "relations": relation}).expect(0)
    rows = query(
        f"select slot, count(*), count(distinct id), min(id % 40), max(id % 40) from read_parquet("
        f"{paths(tmp_path, 'shop.p')}, hive_partitioning = true) group by 1 order by slot::int"
    )
    assert [(int(slot), *rest) for slot, *rest in rows] == [
        (slot, 500, 500, slot, slot) for slot in range(40)
    ]


def test_what_cannot_be_partitioned_is_refused(shop: Database, tmp_path: Path) -> None:
    words: Any = [
        {"name": "shop.orders", "partition-by": ["at", "nope"]},
        {"name": "one", "query": "select 1 as id", "partition-by": ["id"]},
    ]
    ran = export(shop, tmp_path, **{**FILES, "relations": words}).expect(3)
    for said in ("at is timestamp with time zone", "there is no column nope", "no column is left"):
        assert said in ran.said
    loaded = {"name": "shop.orders", "partition-by": "id"}
    assert "without a warehouse" in export(shop, tmp_path, relations=loaded).said


def test_a_value_that_would_read_as_null_is_refused(shop: Database, tmp_path: Path) -> None:
    shop.run("update shop.orders set note = '__HIVE_DEFAULT_PARTITION__' where id = 5")
    relation = {"name": "shop.orders", "partition-by": "note"}
    ran = export(shop, tmp_path, **{**FILES, "relations": relation}).expect(4)
    assert "which means NULL in a path" in ran.said


# columns


class At(NamedTuple):
    """A source's address."""

    url: str


KEY = {"WINDLASS_HASH_KEY": "0123456789abcdef, long"}


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_columns_are_renamed_cast_and_hashed(form: str, shop: Database, tmp_path: Path) -> None:
    shop.run(
        "create table shop.items (order_id bigint, price text)",
        "insert into shop.items select id, '1.50' from shop.orders where id < 4",
        "insert into shop.items values (null, null)",
    )
    words: Any = [
        {"name": "shop.orders", "rename": {"note": "remark"}},
        {"name": "shop.items", "cast": {"price": "numeric(9,2)"}, "rename": {"price": "worth"}},
    ]
    hashed = ["shop.orders.id", "*.order_id"]
    ran = export(shop, tmp_path, relations=words, hash=hashed, format=form).expect(3)
    assert "WINDLASS_HASH_KEY" in ran.said
    words = {"relations": words, "hash": hashed, "format": form, "keep_files": True}
    export(shop, tmp_path, env=KEY, **words).expect(0)
    said = "".join(path.read_text() for path in (tmp_path / "files").rglob("*.json"))
    assert KEY["WINDLASS_HASH_KEY"] not in said
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as connection:
        joined = connection.execute(
            "select remark, worth::text, len(order_id), worth.typeof() from items"
            " left join orders on id = order_id order by all nulls last"
        ).fetchall()
    kept = ("new", "1.50", 64, "DECIMAL(9,2)")
    assert joined == [kept] * 3 + [(None, None, None, "DECIMAL(9,2)")]


def test_hashes_depend_on_the_key_and_merge_by_it(shop: Database, tmp_path: Path) -> None:
    words: Any = {
        "relations": {"name": "shop.orders", "watermark": "at"},
        "disposition": "merge",
        "hash": "*.id",
    }
    assert export(shop, tmp_path, env=KEY, **words).expect(0).result["rows"] == 100
    shop.run("update shop.orders set note = 'changed', at = '2024-02-01 00:00Z' where id = 7")
    assert export(shop, tmp_path, env=KEY, **words).expect(0).result["rows"] == 2
    other = {"WINDLASS_HASH_KEY": "another key, also long"}
    assert export(shop, tmp_path, env=other, **words).expect(0).result["rows"] == 100


def test_a_float_has_one_hash_in_every_source(shop: Database, tmp_path: Path) -> None:
    values = "(1, 1e-07), (2, 1e20), (3, 0.1), (4, 123456789012345680.0), (5, -0.0), (6, 1e300)"
    shop.run("create table shop.f (id int, x float8)", f"insert into shop.f values {values}")
    with duckdb.connect(str(tmp_path / "source.duckdb")) as file:
        file.execute("create table f (id int, x double)")
        file.execute(f"insert into f values {values}")
    with closing(sqlite3.connect(tmp_path / "source.sqlite")) as lite:
        lite.execute("create table f (id integer, x real)")
        lite.execute(f"insert into f values {values}")
        lite.commit()
    found = []
    for url, name in [(shop.url, "shop.f"), (f"duckdb:///{tmp_path}/source.duckdb", "main.f"),
                      (f"sqlite:///{tmp_path}/source.sqlite", "main.f")]:  # fmt: skip
        folder = tmp_path / url.partition(":")[0]
        folder.mkdir()
        export(At(url), folder, env=KEY, relations=name, hash="*.x").expect(0)
        found.append(rows(folder, "select id, x from f order by id"))
    assert found[0] == found[1] == found[2]
    assert len({hashed for _, hashed in found[0]}) == 6


def test_wrong_renames_and_casts_are_refused(shop: Database, tmp_path: Path) -> None:
    words: Any = [
        {"name": "shop.orders", "rename": {"note": "id", "nope": "x"}},
        {"name": "o", "query": "select * from shop.orders", "cast": {"id": "no_type"}},
    ]
    ran = export(shop, tmp_path, relations=words).expect(3)
    for said in ("would be called id", "there is no column nope", "no_type"):
        assert said in ran.said


# large relations


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize("partitioned", [False, True])
def test_a_large_relation_is_read_by_several_sessions_in_one_snapshot(
    form: str,
    partitioned: bool,
    shop: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extracting, "SLICE_BYTES", 64 << 10)
    by = "partition by range (id)" if partitioned else ""
    shop.run(
        f"create table shop.large (id int, text text) {by}",
        *(
            f"create table shop.large_{at} partition of shop.large for values"
            f" from ({at * 5000}) to ({at * 5000 + 5000})"
            for at in range(4)
            if partitioned
        ),
        "insert into shop.large select n, md5(n::text) from generate_series(0, 19999) n",
        "analyze shop.large",
    )
    read: list[str] = []
    reading = extracting.Extract._readers

    def watched(work: extracting.Extract) -> Any:
        read.append(work._export.name)
        return reading(work)

    monkeypatch.setattr(extracting.Extract, "_readers", watched)
    words = {"relations": "shop.large", "format": form, "jobs": 3}
    ran = export(shop, tmp_path, **words).expect(0).result
    assert (len(read), ran["rows"]) == (3, 20000)
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as connection:
        found = connection.execute(
            "select count(*), count(distinct id), min(id), max(id), bool_and(text = md5(id::text))"
            " from large"
        ).fetchall()
    assert found == [(20000, 20000, 0, 19999, True)]


def test_what_one_reader_cannot_read_stops_all(
    shop: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extracting, "SLICE_BYTES", 64 << 10)
    shop.run(
        "create table shop.large (id int, list int[], text text)",
        "insert into shop.large select n, array[n], md5(n::text) from generate_series(1, 20000) n",
        "update shop.large set list = array[array[1, 2], array[3, 4]] where id = 15000",
    )
    ran = export(shop, tmp_path, relations="shop.large", jobs=3).expect(4)
    assert "more than one dimension" in ran.result["message"]
