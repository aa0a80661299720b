"""Hashes values with a secret key, so that they can be joined and counted, and not read.

HMAC-SHA256 (RFC 2104) of the value's text: the same value has the same hash in every column, table
and run with the same key. Without the key, a list of likely values is of no use.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


class Hasher:
    def __init__(self, key: str) -> None:
        self._key = key.encode()

    @property
    def id(self) -> str:
        """Identifies the key, and does not disclose it."""
        return self.text("windlass key id")[:16]

    def text(self, value: str) -> str:
        return hmac.digest(self._key, value.encode(), hashlib.sha256).hex()

    def array(self, texts: pa.Array) -> pa.Array:
        """Each distinct value is hashed once. NULL stays NULL."""
        import pyarrow as pa

        encoded = texts.dictionary_encode()
        hashes = [self.text(text) for text in encoded.dictionary.to_pylist()]
        return pa.array(hashes, pa.string()).take(encoded.indices)
