"""CSV files: what is read is what is there, and what is not CSV is refused with its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from windlass.engines.inputs import open_inputs
from windlass.engines.landing import Input
from windlass.errors import BadRecord, BadSpec, WindlassError
from windlass.model.inputs import Csv, FilesFrom, Format

MANY = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PLAIN = Csv()


def opened(folder: Path, data: bytes, dialect: Csv = PLAIN, name: str = "rows.csv") -> Input:
    path = folder / name
    path.write_bytes(data)
    (one,) = open_inputs(FilesFrom((str(path),), csv=dialect))
    return one


def rows(source: Input) -> list[tuple[str | None, ...]]:
    return [
        tuple(row[field.name] for field in source.fields)
        for batch in source.batches()
        for row in batch.to_pylist()
    ]


def raw(source: Input) -> bytes | None:
    found = source.raw()
    return b"".join(found.blocks) if found else None


def faults(folder: Path, data: bytes, dialect: Csv = PLAIN) -> list[tuple[int, int, str]]:
    with pytest.raises(BadRecord) as caught:
        rows(opened(folder, data, dialect))
    return [(one.record, one.line, one.reason) for one in caught.value.bad]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a,b\n1,2\n", [("1", "2")]),
        (b"a,b\n1,2", [("1", "2")]),  # no newline at the end
        (b"a,b\r\n1,2\r\n", [("1", "2")]),
        (b"a,b\n1,2\r\n3,4\n", [("1", "2"), ("3", "4")]),
        (b"\xef\xbb\xbfa,b\n1,2\n", [("1", "2")]),
        (b'a,b\n"x ""y"" z","1,2"\n', [('x "y" z', "1,2")]),
        (b'a,b\n"one\ntwo\r\nthree",2\n', [("one\ntwo\r\nthree", "2")]),
        (b'a,b\n,""\n', [("", "")]),
        (b'a,b\n"""",""""""\n', [('"', '""')]),
        (b"a,b\n x , y \n", [(" x ", " y ")]),
        (b"a,b\nNULL,NA\n", [("NULL", "NA")]),
        (b"a,b\n007,1e400\n", [("007", "1e400")]),
        ("a,b\nÅ,😀\n".encode(), [("Å", "😀")]),
        (b"a,b\n", []),
        (b"a\n\nx\n", [("",), ("x",)]),
        (b'"a\nb",c\n1,2\n', [("1", "2")]),
    ],
)
def test_values_are_exactly_what_the_file_has(
    data: bytes, expected: list[tuple[str, ...]], tmp_path: Path
) -> None:
    assert rows(opened(tmp_path, data)) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a,b\n1\n", [(1, 2, "1 value, expected 2")]),
        (b"a,b\n1,2\n\n", [(2, 3, "1 value, expected 2")]),
        (b"a,b\n1,2,3\n4\n", [(1, 2, "3 values, expected 2"), (2, 3, "1 value, expected 2")]),
        (b'a,b\n"x\ny",1\nx"y,2\n', [(2, 4, "a quote inside of a value that is not quoted")]),
        (b'a,b\n1,2\n"x"y,2\n', [(2, 3, "something follows a closing quote")]),
        (b'a,b\n1,2\n"x" ,2\n', [(2, 3, "something follows a closing quote")]),
        (b'a,b\n1,"x\n3,4\n', [(1, 2, "a quote is not closed")]),
        (b'a,b\n1,"x', [(1, 2, "a quote is not closed")]),
        (b"a,b\n1,x\0y\n", [(1, 2, "NUL in text")]),
        (b'a,b\n1,"x\0"\n', [(1, 2, "NUL in text")]),
        (b"a,b\n1,2\n3,\xe9\n", [(2, 3, "not valid utf-8")]),
        (b"a,b\n1,x\ry\n", [(1, 2, "a carriage return outside of quotes")]),
        (b"a,b\r1,2\r", [(0, 1, "a carriage return outside of quotes")]),
        (b"", [(0, 1, "the file is empty: it has no header")]),
        (b"a,\n1,2\n", [(0, 1, "name 2 of the header is empty")]),
        (b"a,a\n1,2\n", [(0, 1, "the header has 2 fields with this name")]),
    ],
)
def test_what_is_not_csv_is_named_by_its_line(
    data: bytes, expected: list[tuple[int, int, str]], tmp_path: Path
) -> None:
    assert faults(tmp_path, data) == expected


def test_every_bad_row_near_the_first_is_named(tmp_path: Path) -> None:
    data = b"a,b\n" + b"1,2\n1\n" * 5
    assert [line for _, line, _ in faults(tmp_path, data)] == [3, 5, 7, 9, 11]


@pytest.mark.parametrize(
    ("dialect", "data", "expected"),
    [
        (Csv(delimiter=";"), b"a;b\n1;2,5\n", [("1", "2,5")]),
        (Csv(delimiter="||"), b'a||b\n1|2||"3||4"\n', [("1|2", "3||4")]),
        (Csv(delimiter="\u00a6"), "a¦b\n1¦é\n".encode(), [("1", "é")]),
        (Csv(quote="'"), b"a,b\n'x''y',\"z\"\n", [("x'y", '"z"')]),
        (Csv(quote=""), b'a,b\nx"y,"z"\n', [('x"y', '"z"')]),
        (Csv(escape="\\"), b'a,b\n"x\\"y","\\\\ \\n"\n', [('x"y', "\\ \\n")]),
        (Csv(header=False, names=("x", "y")), b"1,2\n3,4\n", [("1", "2"), ("3", "4")]),
        (Csv(names=("x", "y")), b"a,b\n1,2\n", [("1", "2")]),
        (Csv(nulls=("", "NA")), b'a,b\n,""\nNA,"NA"\n', [(None, ""), (None, "NA")]),
        (Csv(nulls=("\\N",), escape="\\"), b'a,b\n\\N,"\\N"\n', [(None, "\\N")]),
        (Csv(nulls=("",)), b'a\n\n""\nx\n', [(None,), ("",), ("x",)]),
        (Csv(skip=2), b'title "x\nof it\na,b\n1,2\n', [("1", "2")]),
        (Csv(comment="#"), b'# it\'s "x\na,b\n#\n1,#2\n#"', [("1", "#2")]),
        (Csv(encoding="utf-16"), "a,b\né,2\n".encode("utf-16"), [("é", "2")]),
        (Csv(encoding="utf-16-be"), "a,b\né,2\n".encode("utf-16-be"), [("é", "2")]),
        (Csv(encoding="latin-1"), "a,b\né,2\n".encode("latin-1"), [("é", "2")]),
        (Csv(encoding="cp1252"), "a,b\n€,2\n".encode("cp1252"), [("€", "2")]),
        (
            Csv(delimiter=";", decimal=",", numbers=("b",)),
            b"a;b\n1,5;-2,50\n",
            [("1,5", "-2.50")],
        ),
    ],
)
def test_a_dialect_is_what_it_says(
    dialect: Csv, data: bytes, expected: list[tuple[str | None, ...]], tmp_path: Path
) -> None:
    assert rows(opened(tmp_path, data, dialect)) == expected


@pytest.mark.parametrize(
    ("dialect", "data", "expected"),
    [
        (Csv(encoding="utf-16-le"), b"a\x00\n\x00\x00\xd8\n\x00", (1, 2, "not valid utf-16-le")),
        (Csv(encoding="cp1252"), b"a\n1\n\x81\n", (2, 3, "not valid cp1252")),
        (Csv(escape="\\"), b"a,b\nx\\,y,1\n", (1, 2, "an escape outside of quotes")),
        (Csv(escape="\\"), b'a,b\n"x""y",1\n', (1, 2, "something follows a closing quote")),
        (
            Csv(delimiter=";", decimal=",", numbers=("b",)),
            b"a;b\n1;2,5\n2;1.234,5\n",
            (2, 3, "a number has a point where the decimal sign is a comma"),
        ),
        (Csv(names=("x",)), b"a,b\n1,2\n", (0, 1, "the header has 2 names, expected 1")),
    ],
)
def test_what_a_dialect_does_not_have_is_refused(
    dialect: Csv, data: bytes, expected: tuple[int, int, str], tmp_path: Path
) -> None:
    assert faults(tmp_path, data, dialect) == [expected]


def test_utf_16_without_a_mark_is_refused_instead_of_guessed(tmp_path: Path) -> None:
    with pytest.raises(WindlassError, match="no byte order mark"):
        opened(tmp_path, "a,b\n".encode("utf-16-le"), Csv(encoding="utf-16"))


@pytest.mark.parametrize(
    "dialect",
    [
        Csv(quote="''"),
        Csv(delimiter='"'),
        Csv(encoding="utf-99"),
        Csv(encoding="base64"),
        Csv(header=False),
        Csv(quote="", escape="\\"),
        Csv(nulls=("a,b",)),
        Csv(decimal=";"),
    ],
)
def test_a_dialect_that_contradicts_itself_is_refused(dialect: Csv, tmp_path: Path) -> None:
    with pytest.raises(BadSpec):
        opened(tmp_path, b"a,b\n", dialect)


def test_every_fault_of_a_dialect_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSpec) as caught:
        opened(tmp_path, b"a,b\n", Csv(quote="''", encoding="utf-99", skip=-1))
    assert len(caught.value.faults) == 3


texts = st.text(st.sampled_from([*'ab1 ,;"\n\r\\.', "é", "😀", "\t"]), max_size=8) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8
)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(texts, min_size=width, max_size=width), max_size=8)
)


def written(table: Sequence[Sequence[str]], end: str, quoting: int) -> bytes:
    assume(
        quoting == csv.QUOTE_ALL
        or end == "\r\n"
        or not any("\r" in value for row in table for value in row)
    )
    file = io.StringIO(newline="")
    width = len(table[0]) if table else 1
    writer = csv.writer(file, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([[f"f{at}" for at in range(width)], *table])
    return file.getvalue().encode()


@MANY
@given(tables, st.sampled_from(["\n", "\r\n"]), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
def test_what_another_writer_wrote_is_read_back(
    tmp_path: Path, table: list[list[str]], end: str, quoting: int
) -> None:
    source = opened(tmp_path, written(table, end, quoting))
    assert rows(source) == [tuple(row) for row in table]


@MANY
@given(st.lists(st.sampled_from([*b'a,"\n\r\\.#', 0xC3, 0xA9]), max_size=40).map(bytes))
def test_the_fast_reader_reads_and_refuses_what_the_careful_one_does(
    tmp_path: Path, data: bytes
) -> None:
    def tried(dialect: Csv) -> object:
        try:
            return rows(opened(tmp_path, data, dialect))
        except BadRecord as error:
            return error.bad[0]

    fast = Csv(header=False, names=("x", "y"), nulls=("a",))
    careful = Csv(header=False, names=("x", "y"), nulls=("a",), comment="\x01")
    assert tried(fast) == tried(careful)


def copied(data: bytes, null: str | None) -> Sequence[tuple[str | None, ...]]:
    """As COPY reads CSV, which toggles at every quote: CopyReadAttributesCSV."""
    found = []
    row: list[str | None] = []
    value, quoted, inside = "", False, False
    text = data.decode()
    at = 0
    while at < len(text):
        letter = text[at]
        if inside:
            if letter == '"' and text[at + 1 : at + 2] == '"':
                value, at = value + '"', at + 1
            elif letter == '"':
                inside = False
            else:
                value += letter
        elif letter == '"':
            inside = quoted = True
        elif letter in ",\n":
            row.append(None if value == null and not quoted else value)
            value, quoted = "", False
            if letter == "\n":
                found.append(tuple(row))
                row = []
        else:
            assert letter != "\r"
            value += letter
        at += 1
    assert not value and not row and not inside
    return found


@MANY
@given(tables, st.sampled_from(["\n", "\r\n"]))
def test_the_bytes_for_copy_mean_the_same_rows(
    tmp_path: Path, table: list[list[str]], end: str
) -> None:
    source = opened(tmp_path, written(table, end, csv.QUOTE_MINIMAL), Csv(nulls=("a",)))
    data = raw(source)
    assert data is not None
    assert copied(data, "a") == rows(source)


def test_a_row_that_would_end_copy_is_quoted_for_it(tmp_path: Path) -> None:
    assert raw(opened(tmp_path, b"a\nx\n\\.\ny\n")) == b'x\n"\\."\ny\n'


def test_bytes_for_copy_are_refused_where_the_rows_are(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match="line 3: 1 value, expected 2"):
        raw(opened(tmp_path, b"a,b\n1,2\n3\n"))


@pytest.mark.parametrize(
    "dialect",
    [
        Csv(quote=""),
        Csv(escape="\\"),
        Csv(comment="#"),
        Csv(nulls=("", "NA")),
        Csv(decimal=",", delimiter=";", numbers=("a",)),
    ],
)
def test_what_copy_reads_otherwise_is_not_for_copy(dialect: Csv, tmp_path: Path) -> None:
    assert raw(opened(tmp_path, b"a\n1\n", dialect)) is None


def test_a_record_is_found_by_its_line(tmp_path: Path) -> None:
    data = b'title\na,b\n1,"x\ny"\n2,z\n3,"p\n\nq"\n4,r\n'
    source = opened(tmp_path, data, Csv(skip=1))
    assert [source.line_of(record) for record in range(1, 6)] == [3, 5, 6, 9, 0]


def test_values_of_two_megabytes_and_rows_across_blocks_arrive(tmp_path: Path) -> None:
    large = 'x"\n,é' * 400_000
    quoted = large.replace('"', '""')
    data = f'a,b\n1,"{quoted}"\n2,y\n3,"{quoted}"\n'.encode() + b"4,z\n" * 300_000
    source = opened(tmp_path, data)
    found = rows(source)
    assert found[:3] == [("1", large), ("2", "y"), ("3", large)]
    assert len(found) == 300_003
    assert source.line_of(300_003) == data.count(b"\n")


def test_a_tab_separates_in_tsv(tmp_path: Path) -> None:
    assert rows(opened(tmp_path, b"a\tb\n1,5\t2\n", name="rows.tsv")) == [("1,5", "2")]


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    source = opened(tmp_path, b"a,b\n" + b"1,2\n" * 3_000_000)
    batches = source.batches()
    next(batches)
    with (tmp_path / "rows.csv").open("ab") as file:
        file.write(b"3,4\n")
    with pytest.raises(WindlassError, match="was changed while it was read"):
        list(batches)


def test_a_format_that_the_name_does_not_tell_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(WindlassError, match="does not say which format"):
        open_inputs(FilesFrom((str(path),)))
    (one,) = open_inputs(FilesFrom((str(path),), format=Format.CSV))
    assert rows(one) == [("1", "2")]
