"""Finds cells of an OpenDocument sheet that have an error, which calamine treats as empty."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, iterparse

_CONTENT = "content.xml"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_CALC = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}value-type"
_ERROR = re.compile(r"#(DIV/0!|N/A|NAME\?|NULL!|NUM!|REF!|VALUE!)|Err:\d+")


def is_open_document(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return _CONTENT in archive.namelist()


def cells_with_errors(path: Path, sheet: str) -> Iterator[tuple[int, int]]:
    """Rows and columns of these cells, from 0. LibreOffice marks them; in other files, a formula's
    result that reads like an error counts as one."""
    table, row, column = "", 0, 0
    with zipfile.ZipFile(path) as archive, archive.open(_CONTENT) as content:
        for event, element in iterparse(content, ("start", "end")):
            name = element.tag.removeprefix(_TABLE)
            if event == "start":
                if name == "table":
                    table, row = element.get(f"{_TABLE}name", ""), 0
                elif name == "table-row":
                    column = 0
            elif name in ("table-cell", "covered-table-cell"):
                if table == sheet and _is_error(element):
                    yield row, column
                column += int(element.get(f"{_TABLE}number-columns-repeated", "1"))
            elif name == "table-row":
                row += int(element.get(f"{_TABLE}number-rows-repeated", "1"))
                element.clear()


def _is_error(cell: Element) -> bool:
    if cell.get(_CALC) == "error":
        return True
    has_formula = cell.get(f"{_TABLE}formula") is not None
    return has_formula and _ERROR.fullmatch("".join(cell.itertext()).strip()) is not None
