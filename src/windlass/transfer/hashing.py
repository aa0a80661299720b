"""Hashes values with a secret key, so that they can be joined and counted, but not read.

HMAC-SHA256 (RFC 2104) of the value's text: the same value has the same hash in every column, table
and run with the same key. Without the key, hashing a list of likely values reveals nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from windlass.model.hashing import HASH_KEY, LEAST_KEY

if TYPE_CHECKING:
    import pyarrow as pa


_BLOCK = 64  # bytes of a block of SHA-256
_FRACTIONS = re.compile(r"numeric|decimal|real|double|float", re.IGNORECASE)


class Hasher:
    def __init__(self, key: str) -> None:
        self._key = key.encode()

    @property
    def id(self) -> str:
        """Identifies the key without disclosing it."""
        return self.text("windlass key id")[:16]

    def pads(self) -> tuple[bytes, bytes]:
        """HMAC's inner and outer pads of the key, for a server that hashes itself. They are as
        secret as the key."""
        key = self._key if len(self._key) <= _BLOCK else hashlib.sha256(self._key).digest()
        key = key.ljust(_BLOCK, b"\0")
        return bytes(one ^ 0x36 for one in key), bytes(one ^ 0x5C for one in key)

    def text(self, value: str) -> str:
        return hmac.digest(self._key, value.encode(), hashlib.sha256).hex()

    def array(self, texts: pa.Array, type_: str = "") -> pa.Array:
        """Hash each distinct value once. NULL stays NULL. `type_` is the source's type: equal
        numbers have the same hash, whatever their scale."""
        import pyarrow as pa

        encoded = texts.dictionary_encode()
        values = encoded.dictionary.to_pylist()
        if _FRACTIONS.match(type_):
            values = [_in_one_form(text) for text in values]
        hashes = [self.text(text) for text in values]
        return pa.array(hashes, pa.string()).take(encoded.indices)


def hasher_of_environment() -> Hasher | None:
    """None without a key."""
    key = os.environ.get(HASH_KEY, "")
    return Hasher(key) if len(key) >= LEAST_KEY else None


def _in_one_form(number: str) -> str:
    """Write `5.00` as `5`, like an integer, and `1e-07` as `0.0000001`, like a decimal. Databases
    differ in when they write an exponent, and in how they write infinity."""
    try:
        number = format(Decimal(number), "f")
    except InvalidOperation:
        return number
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return "0" if number == "-0" else number
