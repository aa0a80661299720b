"""Where files are, how they are compressed, and when they have changed."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from windlass.engines.files import stored
from windlass.engines.inputs import open_inputs
from windlass.errors import BadSpec, Refused, WindlassError
from windlass.model.inputs import Compression, FilesFrom

CSV = b"a,b\n" + b"".join(b"%d,%d\n" % (at, at * at) for at in range(300_000))


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue())


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda data: gzip.compress(data, 1),
    "bz2": lambda data: bz2.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "zst": zstd,
}
DAMAGES = ("cut", "cut after the first", "changed", "garbage", "empty")


def count(*locations: object, **given: Any) -> int:
    found = open_inputs(FilesFrom(tuple(map(str, locations)), **given))
    return sum(batch.num_rows for one in found for batch in one.batches())


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_compressed_file_is_read_whole(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.csv.{kind}"
    half = CSV.index(b"\n", len(CSV) // 2) - 3
    # two after the other, as parallel compressors and appends write them
    path.write_bytes(COMPRESS[kind](CSV[:half]) + COMPRESS[kind](CSV[half:]))
    assert count(path) == 300_000


@pytest.mark.parametrize(
    ("kind", "damage"), [(k, d) for k in COMPRESS for d in DAMAGES if (k, d) != ("zst", "changed")]
)  # pyarrow writes no checksums
def test_a_damaged_file_is_refused(kind: str, damage: str, tmp_path: Path) -> None:
    whole = COMPRESS[kind](CSV[: CSV.index(b"\n", 1_000_000) + 1])
    changed = bytearray(whole)
    for at in range(len(whole) // 2, len(whole) // 2 + 40):
        changed[at] ^= 0x55
    data = {
        "cut": whole[:-20],
        "cut after the first": whole + whole[: len(whole) // 2],
        "changed": bytes(changed),
        "garbage": whole + b"garbage that is no member",
        "empty": b"",
    }[damage]
    path = tmp_path / f"rows.csv.{kind}"
    path.write_bytes(data)
    with pytest.raises(WindlassError, match=rf"rows\.csv\.{kind}: cannot be read as"):
        count(path)


def archive(path: Path, *names: str, data: bytes = b"a,b\n1,2\n") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name in names:
            opened.writestr(name, data)
    return path


def test_the_only_member_of_a_zip_file_is_read(tmp_path: Path) -> None:
    assert count(archive(tmp_path / "rows.zip", "folder/", "folder/one.csv")) == 1


def test_of_several_members_one_is_named(tmp_path: Path) -> None:
    path = archive(tmp_path / "rows.zip", "one.csv", "two.csv")
    with pytest.raises(WindlassError, match=r"has 2 files: one\.csv, two\.csv"):
        count(path)
    with pytest.raises(WindlassError, match=r"none is called three\.csv"):
        count(path, member="three.csv")
    assert count(path, member="two.csv") == 1


def test_a_member_whose_bytes_are_damaged_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "rows.zip", "one.csv", data=CSV[:1_000_000])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(WindlassError, match="cannot be read as zip"):
        count(path)


@pytest.mark.parametrize("kind", [*COMPRESS, "zip"])
def test_a_bomb_is_refused_unless_the_limit_is_lifted(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "FREE_BYTES", 1 << 20)
    monkeypatch.setattr(stored, "MOST_RATIO", 50)
    data = b"a\n" + b"x\n" * (2 << 20)
    path = tmp_path / f"rows.csv.{kind}"
    if kind == "zip":
        archive(path, "rows.csv", data=data)
    else:
        path.write_bytes(COMPRESS[kind](data))
    with pytest.raises(WindlassError, match=r"decompresses to more than \d+ MB"):
        count(path)
    assert count(path, unlimited=True) == 2 << 20


def test_text_that_shrinks_well_is_no_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "FREE_BYTES", 0)
    rows = b"".join(b"%d,state,2024-01-01\n" % (at % 100) for at in range(1_000_000))
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"a,b,c\n" + rows))
    assert count(path) == 1_000_000


def test_the_name_or_the_user_says_how_a_file_is_compressed(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert count(path, compression=Compression.GZIP) == 1
    (tmp_path / "plain.csv.gz").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(WindlassError):
        count(tmp_path / "plain.csv.gz")


def test_files_of_a_pattern_are_read_by_name_and_locations_in_their_order(tmp_path: Path) -> None:
    names = [f"{at:02}.csv" for at in range(20)]
    for name in random.Random(1).sample(names, 20):
        (tmp_path / name).write_bytes(b"a\n1\n")
    (tmp_path / "first.csv").write_bytes(b"a\n1\n")
    found = open_inputs(FilesFrom((str(tmp_path / "first.csv"), f"{tmp_path}/[0-9]*.csv")))
    assert [Path(one.place).name for one in found] == ["first.csv", *names]


def test_patterns_reach_below_and_a_name_with_brackets_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "x/y").mkdir(parents=True)
    (tmp_path / "x/y/1.csv").write_bytes(b"a\n1\n")
    (tmp_path / "x/[1].csv").write_bytes(b"a\n1\n2\n")
    assert count(f"{tmp_path}/**/1.csv") == 1
    assert count(tmp_path / "x/[1].csv") == 2
    assert count(f"file://{tmp_path}/x/y/1.csv") == 1


def test_every_location_without_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "1.csv").write_bytes(b"a\n1\n")
    given = ("none.csv", "*.parquet", "folder", "1.csv", "*.csv")
    with pytest.raises(Refused) as caught:
        open_inputs(FilesFrom(tuple(f"{tmp_path}/{name}" for name in given)))
    assert [problem.message for problem in caught.value.problems] == [
        "there is no such file",
        "no file matches",
        "is a folder",
        "is given 2 times",
    ]


def test_a_url_that_names_no_file_is_refused() -> None:
    with pytest.raises(BadSpec, match="not the absolute path"):
        open_inputs(FilesFrom(("file://host/rows.csv",)))


def test_files_of_other_fields_are_refused_and_of_another_order_put_right(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_bytes(b"a,b\n1,2\n")
    (tmp_path / "2.csv").write_bytes(b"b,a\n4,3\n")
    found = open_inputs(FilesFrom((f"{tmp_path}/*.csv",)))
    last = found[1]
    assert [row for batch in last.batches() for row in batch.to_pylist()] == [{"a": "3", "b": "4"}]
    assert last.raw() is None
    (tmp_path / "3.csv").write_bytes(b"a,c\n4,3\n")
    with pytest.raises(Refused) as caught:
        open_inputs(FilesFrom((f"{tmp_path}/*.csv",)))
    assert [problem.object for problem in caught.value.problems] == [f"{tmp_path}/3.csv"] * 2


def test_a_file_is_identified_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b\n1,2\n")
    (one,) = open_inputs(FilesFrom((str(path),)))
    identity = one.identity
    assert identity.size_bytes == 8
    assert identity.sha256 == hashlib.sha256(b"a,b\n1,2\n").hexdigest()
    assert identity.modified.endswith("Z")
