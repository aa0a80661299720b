"""A CSV dialect, checked, as readers use it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from windlass.engines.files.text_blocks import encoding_name
from windlass.errors import BadSpec, WindlassError
from windlass.model.inputs import Csv


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a reader needs to know about rows. `escape` is empty if quotes are doubled."""

    delimiter: str
    quote: str
    escape: str
    comment: str
    nulls: frozenset[str]

    @property
    def is_simple(self) -> bool:
        """Whether the positions of bytes are enough to see where values begin and end."""
        return not self.escape and not self.comment and self.delimiter.isascii() and (
            len(self.delimiter) == 1
        )  # fmt: skip


def dialect_of(csv: Csv, *, tabs: bool) -> Dialect:
    """Raises:
    BadSpec: it contradicts itself. Names every fault.
    """
    delimiter = csv.delimiter or ("\t" if tabs else ",")
    escape = "" if csv.escape == csv.quote else csv.escape
    found = Dialect(delimiter, csv.quote, escape, csv.comment, frozenset(csv.nulls))
    if faults := list(_faults(csv, found)):
        raise BadSpec([f"csv: {fault}" for fault in faults])
    return found


def _faults(csv: Csv, found: Dialect) -> list[str]:
    faults = []
    for word, text in (("quote", csv.quote), ("escape", csv.escape)):
        if text and (len(text) != 1 or not text.isascii() or text in "\r\n\0"):
            faults.append(f"{word} is one ASCII character, or empty")
    if re.search(r"[\r\n\0]", found.delimiter + found.comment):
        faults.append("delimiter and comment have no line break")
    if found.escape and not found.quote:
        faults.append("escape is for quotes, and there are none")
    special = [one for one in (found.delimiter, found.quote, found.escape, found.comment) if one]
    if any(one != other and one in other for one in special for other in special) or (
        len(set(special)) < len(special)
    ):
        faults.append("delimiter, quote, escape and comment must differ")
    for null in csv.nulls:
        if re.search(r"[\r\n\0]", null) or any(
            one in null for one in (found.delimiter, found.quote) if one
        ):
            faults.append(f"null {null!r} has a delimiter, quote or line break in it")
    if csv.decimal not in (".", ","):
        faults.append("decimal is '.' or ','")
    if csv.skip < 0:
        faults.append("skip is not negative")
    if not csv.header and not csv.names:
        faults.append("without a header, names has to list the fields")
    try:
        encoding_name(csv.encoding)
    except WindlassError as error:
        faults.append(str(error))
    return faults
