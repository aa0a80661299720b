"""Objects of stores as the inputs of a load: patterns, whole objects, and unchanged ones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import windlass
from clouds import gs, s3, storage
from windlass.engines.inputs import are_unchanged, open_inputs
from windlass.engines.objects import fetching
from windlass.engines.objects.fetching import pattern
from windlass.errors import BadSpec, Refused, WindlassError
from windlass.model.inputs import FilesFrom

__all__ = ["gs", "s3", "storage"]


@pytest.fixture
def bucket(s3: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    found = boto3.resource("s3", endpoint_url=s3["AWS_ENDPOINT_URL"]).Bucket("lake")
    yield found
    found.objects.all().delete()


def rows(folder: Path, *locations: str) -> list[Any]:
    found = open_inputs(FilesFrom(locations), folder)
    return [row["a"] for one in found for batch in one.batches() for row in batch.to_pylist()]


def test_objects_of_a_pattern_are_read_by_name(bucket: Any, tmp_path: Path) -> None:
    for name in (
        "events/2.csv",
        "events/1.csv",
        "events/deep/3.csv",
        "events/x.txt",
        "other/4.csv",
    ):
        bucket.put_object(Key=name, Body=f"a\n{name}\n".encode())
    assert rows(tmp_path, "s3://lake/events/*.csv") == ["events/1.csv", "events/2.csv"]
    assert rows(tmp_path, "s3://lake/**/[34].csv") == ["events/deep/3.csv", "other/4.csv"]
    assert rows(tmp_path, "s3://lake/other/4.csv", "s3://lake/events/?.csv")[0] == "other/4.csv"
    (one, _) = open_inputs(FilesFrom(("s3://lake/events/*.csv",)), tmp_path)
    assert one.place == "s3://lake/events/1.csv"
    assert one.identity.sha256 == hashlib.sha256(b"a\nevents/1.csv\n").hexdigest()


def test_parquet_in_a_bucket_has_its_types(bucket: Any, tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, None]}), tmp_path / "x.parquet")
    bucket.upload_file(str(tmp_path / "x.parquet"), "x.parquet")
    assert rows(tmp_path / "run", "s3://lake/x.parquet") == [1, None]


def test_the_store_is_configured_by_options(
    s3: dict[str, str], bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put_object(Key="a.csv", Body=b"a\nx\n")
    for name in s3:
        monkeypatch.delenv(name)
    options = {
        "endpoint": s3["AWS_ENDPOINT_URL"], "access_key_id": "test", "secret_access_key": "hidden",
        "region": "us-east-1",
    }  # fmt: skip
    source = FilesFrom(("s3://lake/*.csv",), store_options=tuple(options.items()))
    (one,) = open_inputs(source, tmp_path)
    assert sum(batch.num_rows for batch in one.batches()) == 1
    assert "hidden" not in repr(source)


def test_objects_of_cloud_storage_are_read(gs: dict[str, str], bucket: Any, tmp_path: Path) -> None:
    for name in ("1", "2"):
        bucket.put_object(Key=f"events/{name}.csv", Body=f"a\n{name}\n".encode())
    source = FilesFrom(("gs://lake/events/*.csv",), store_options=tuple(gs.items()))
    found = open_inputs(source, tmp_path)
    assert [one.place for one in found] == ["gs://lake/events/1.csv", "gs://lake/events/2.csv"]
    assert [row["a"] for one in found for batch in one.batches() for row in batch.to_pylist()] == [
        "1", "2",
    ]  # fmt: skip


def test_an_object_whose_name_is_a_pattern_is_itself(bucket: Any, tmp_path: Path) -> None:
    bucket.put_object(Key="[1].csv", Body=b"a\nx\n")
    assert rows(tmp_path, "s3://lake/[1].csv") == ["x"]


@pytest.mark.parametrize("location", ["s3://lake/a.csv", "s3://lake/*.csv"])
def test_objects_are_unchanged_as_long_as_all_have_their_etags(
    bucket: Any, tmp_path: Path, location: str
) -> None:
    source = FilesFrom((location,))
    bucket.put_object(Key="a.csv", Body=b"a\nx\n")
    known = [one.identity for one in open_inputs(source, tmp_path)]
    assert are_unchanged([source], known, tmp_path)
    bucket.put_object(Key="a.csv", Body=b"a\ny\n")
    assert not are_unchanged([source], known, tmp_path)
    assert rows(tmp_path, location) == ["y"]
    bucket.put_object(Key="a.csv", Body=b"a\nx\n")
    bucket.put_object(Key="b.csv", Body=b"a\nz\n")
    assert are_unchanged([source], known, tmp_path) is (location == "s3://lake/a.csv")
    bucket.objects.all().delete()
    assert not are_unchanged([source], known, tmp_path)


def test_an_object_with_the_same_etag_is_not_downloaded_again(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put_object(Key="a.csv", Body=b"id,a\n1,x\n")
    words: dict[str, Any] = {
        "from": "s3://lake/a.csv", "target": f"sqlite:///{tmp_path}/shop.db", "into": "t",
        "create": True, "census": True, "load": "merge", "key": ["id"],
    }  # fmt: skip
    assert windlass.load(windlass.LoadSpec(**words)).totals.counts["inserted"] == 1

    def fetch(*_: object, **__: object) -> None:
        raise AssertionError("an unchanged object is downloaded")

    monkeypatch.setattr(fetching, "fetch", fetch)
    assert windlass.load(windlass.LoadSpec(**words)).course.already


def test_every_location_without_an_object_is_named(bucket: Any, tmp_path: Path) -> None:
    bucket.put_object(Key="a.csv", Body=b"a\nx\n")
    given = ("s3://lake/none.csv", "s3://lake/*.json", "s3://lake/a.csv", f"{tmp_path}/none.csv")
    with pytest.raises(Refused) as caught:
        rows(tmp_path, *given)
    assert len(caught.value.problems) == 3
    with pytest.raises(Refused, match="1 problem"):
        rows(tmp_path, "s3://lake/a.csv", "s3://lake/*.csv")


@pytest.mark.parametrize("location", ["s3://lake", "s3://lake/", "s3://lake/folder/", "ftp://x/y"])
def test_what_names_no_object_is_refused(location: str, tmp_path: Path) -> None:
    with pytest.raises(BadSpec):
        rows(tmp_path, location)


def test_a_bucket_that_is_not_there_is_named(bucket: Any, tmp_path: Path) -> None:
    with pytest.raises(WindlassError, match="no such bucket"):
        rows(tmp_path, "s3://no-such-bucket/*.csv")


@pytest.mark.parametrize(
    ("given", "matches", "others"),
    [
        ("a/*.csv", ["a/x.csv", "a/.csv"], ["a/b/x.csv", "a/xcsv", "ba/x.csv"]),
        ("a/**/x.csv", ["a/x.csv", "a/b/x.csv", "a/b/c/x.csv"], ["a/bx.csv"]),
        ("a/**", ["a/x", "a/b/x"], ["b/x"]),
        ("a?[0-9].csv", ["ax1.csv"], ["a/1.csv", "axx.csv"]),
        ("[!a].csv", ["b.csv"], ["a.csv", "/.csv"]),
        ("a.b", ["a.b"], ["axb"]),
        ("[a.csv", ["[a.csv"], ["a.csv"]),
    ],
)
def test_a_pattern_matches_within_a_part_of_the_path(
    given: str, matches: list[str], others: list[str]
) -> None:
    found = re.compile(pattern(given))
    assert [one for one in [*matches, *others] if found.fullmatch(one)] == matches
