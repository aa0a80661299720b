"""Small workbooks in the formats that no library of ours writes, byte by byte: a sheet ``one`` with
texts, numbers, booleans, empty cells and errors."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

Cell = str | float | bool | None
Table = Sequence[Sequence[Cell]]

ERROR = "#DIV/0!"
_DIVISION = 7  # its number in both of Excel's formats


def write(path: Path, table: Table) -> Path:
    """By the ending of the name."""
    {".ods": _ods, ".xls": _xls, ".xlsb": _xlsb}[path.suffix](path, table)
    return path


def _cells(table: Table) -> Iterator[tuple[int, int, Cell]]:
    for row, values in enumerate(table):
        for column, value in enumerate(values):
            if value is not None:
                yield row, column, value


# OpenDocument: XML in a zip file (ISO/IEC 26300)

_CONTENT = (
    '<?xml version="1.0"?><office:document-content'
    ' xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    ' xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
    ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
    ' xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0">'
    '<office:body><office:spreadsheet><table:table table:name="one">{}</table:table>'
    "</office:spreadsheet></office:body></office:document-content>"
)
_MANIFEST = (
    '<?xml version="1.0"?><manifest:manifest'
    ' xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
)


def _ods(path: Path, table: Table) -> None:
    rows = (f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>" for row in table)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", _MANIFEST)
        archive.writestr("content.xml", _CONTENT.format("".join(rows)))


def _ods_cell(value: Cell) -> str:
    if value is None:
        return "<table:table-cell/>"
    if isinstance(value, bool):
        given = f'office:value-type="boolean" office:boolean-value="{str(value).lower()}"'
    elif isinstance(value, float | int):
        given = f'office:value-type="float" office:value="{value!r}"'
    elif value == ERROR:  # as LibreOffice writes it
        given = (
            'table:formula="of:=1/0" office:value-type="string" office:string-value=""'
            ' calcext:value-type="error"'
        )
    else:
        given = 'office:value-type="string"'
    text = escape(str(value))
    return f"<table:table-cell {given}><text:p>{text}</text:p></table:table-cell>"


# Excel's format of 1997: records in a stream ([MS-XLS]) of a compound file ([MS-CFB])

_SECTOR, _FREE, _END, _FAT = 512, 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_LEAST = 4096  # a shorter stream would be in another one


def _xls(path: Path, table: Table) -> None:
    begin = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0005, 0, 1997, 0, 0))
    begin += _record(0x0042, struct.pack("<H", 1200))
    rest = _record(0x000A, b"")
    name = b"one"
    boundsheet = struct.calcsize("<IBBBB") + len(name) + 4
    offset = len(begin) + boundsheet + len(rest)
    sheet = struct.pack("<IBBBB", offset, 0, 0, len(name), 0) + name
    globals_ = begin + _record(0x0085, sheet) + rest
    cells = b"".join(_xls_cell(*one) for one in _cells(table))
    width = max(map(len, table), default=0)
    size = struct.pack("<IIHHH", 0, len(table), 0, width, 0)
    start = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0010, 0, 1997, 0, 0))
    stream = globals_ + start + _record(0x0200, size) + cells + _record(0x000A, b"")
    path.write_bytes(_compound(stream.ljust(_LEAST, b"\0")))


def _record(number: int, content: bytes) -> bytes:
    return struct.pack("<HH", number, len(content)) + content


def _xls_cell(row: int, column: int, value: Cell) -> bytes:
    at = struct.pack("<HHH", row, column, 0)
    if isinstance(value, bool):
        return _record(0x0205, at + bytes([value, 0]))
    if isinstance(value, float | int):
        return _record(0x0203, at + struct.pack("<d", value))
    if value == ERROR:
        return _record(0x0205, at + bytes([_DIVISION, 1]))
    text = str(value)
    return _record(0x0204, at + struct.pack("<HB", len(text), 1) + text.encode("utf-16-le"))


def _compound(stream: bytes) -> bytes:
    """Sector 0 has the chains, sector 1 the names, and the others the stream."""
    count = -(-len(stream) // _SECTOR)
    chain = [_FAT, _END, *range(3, count + 2), _END]
    chain += [_FREE] * (_SECTOR // 4 - len(chain))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, _LEAST, _END, 0, _END, 0)
    header += struct.pack("<109I", 0, *[_FREE] * 108)
    names = _named("Root Entry", 5, 1, _END, 0) + _named("Workbook", 2, _FREE, 2, len(stream))
    names += bytes(2 * 128)
    return header + struct.pack("<128I", *chain) + names + stream.ljust(count * _SECTOR, b"\0")


def _named(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    text = (name + "\0").encode("utf-16-le")
    entry = text.ljust(64, b"\0") + struct.pack("<HBB", len(text), kind, 1)
    entry += struct.pack("<III", _FREE, _FREE, child) + bytes(36)
    return entry + struct.pack("<IQ", start, size)


# Excel's binary format of 2007: records in a zip file ([MS-XLSB])

_RELATIONS = (
    '<?xml version="1.0"?><Relationships'
    ' xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Target="worksheets/sheet1.bin" Type='
    '"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"/>'
    "</Relationships>"
)


def _xlsb(path: Path, table: Table) -> None:
    sheet = struct.pack("<II", 0, 1) + _wide("rId1") + _wide("one")
    book = _binary([(0x83, b""), (0x8F, b""), (0x9C, sheet), (0x90, b""), (0x84, b"")])
    width = max(map(len, table), default=0)
    size = struct.pack("<IIII", 0, max(len(table) - 1, 0), 0, max(width - 1, 0))
    rows = [(0x81, b""), (0x94, size), (0x91, b""), *_xlsb_rows(table), (0x92, b""), (0x82, b"")]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/_rels/workbook.bin.rels", _RELATIONS)
        archive.writestr("xl/workbook.bin", book)
        archive.writestr("xl/worksheets/sheet1.bin", _binary(rows))


def _xlsb_rows(table: Table) -> Iterator[tuple[int, bytes]]:
    for row, values in enumerate(table):
        yield 0x00, struct.pack("<II5xI", row, 0, 0)
        for column, value in enumerate(values):
            if value is not None:
                number, content = _xlsb_cell(value)
                yield number, struct.pack("<II", column, 0) + content


def _xlsb_cell(value: str | float) -> tuple[int, bytes]:
    if isinstance(value, bool):
        return 0x04, bytes([value])
    if isinstance(value, float | int):
        return 0x05, struct.pack("<d", value)
    if value == ERROR:
        return 0x03, bytes([_DIVISION])
    return 0x06, _wide(value)


def _wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def _binary(records: Iterable[tuple[int, bytes]]) -> bytes:
    return b"".join(
        _number(number) + _number(len(content)) + content for number, content in records
    )


def _number(value: int) -> bytes:
    """Seven bits in each byte, the lowest first."""
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
