"""A file on this machine as blocks of bytes, decompressed while it is read, up to a limit.

What the bytes mean is decided elsewhere.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from windlass.errors import BadRecord, WindlassError
from windlass.model.inputs import Compression
from windlass.model.load import Identity
from windlass.model.wording import word

BLOCK_BYTES = 512 << 10
_ENDS = {
    ".gz": Compression.GZIP,
    ".gzip": Compression.GZIP,
    ".zst": Compression.ZSTD,
    ".zstd": Compression.ZSTD,
    ".bz2": Compression.BZ2,
    ".xz": Compression.XZ,
    ".zip": Compression.ZIP,
}
# Text rarely compresses to a hundredth; a gzip bomb compresses to a thousandth. Small files do no
# harm.
MOST_RATIO = 250
FREE_BYTES = 256 << 20
MOST_BYTES = 100 << 30
_XZ_MEMORY_BYTES = 256 << 20  # xz -9 needs 65 MB to decompress
_FAULTS = (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, NotImplementedError)


def compression_of(name: str) -> Compression:
    """By the end of a file's name."""
    return _ENDS.get(Path(name).suffix.lower(), Compression.NONE)


@dataclass(frozen=True, slots=True)
class Stored:
    """A file, and its name for people. `known` is what was learnt when it was fetched."""

    path: Path
    place: str  # for people, without secrets
    compression: Compression = Compression.NONE
    member: str = ""  # of a zip file
    unlimited: bool = False
    known: Identity = field(default_factory=Identity)

    def identity(self) -> Identity:
        """Size, SHA-256 and date of the file. Reads all of it, unless its SHA-256 is known."""
        if self.known.sha256:
            return self.known
        with self._explaining(), self.path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            found = os.fstat(file.fileno())
        modified = f"{datetime.fromtimestamp(found.st_mtime, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        return Identity(found.st_size, sha256, self.known.etag, self.known.modified or modified)

    def blocks(self) -> Generator[bytes, None, None]:
        """Of at most `BLOCK_BYTES`; none is empty.

        Raises:
            WindlassError: it cannot be read, is damaged, or becomes far larger than it is, or was
            changed in the meantime.
        """
        with self._explaining(), self.path.open("rb", buffering=0) as file:
            before = _state(file)
            if self._compressed and not before[0]:
                raise EOFError("it is empty")
            opened = _OPENERS[self.compression](self, file)
            out = 0
            with closing(opened):
                for block in opened:
                    out += len(block)
                    self._check_size(out, file)
                    yield block
            if _state(file) != before:
                raise WindlassError(
                    f"{self.place}: was changed while it was read",
                    hint="load it again once nothing writes to it",
                    side="source",
                )

    @contextmanager
    def damage_first(self) -> Iterator[None]:
        """Raise if the file is damaged. A damaged file has bad records too, but its checksum comes
        after them.

        Raises:
            WindlassError: it is damaged, and has bad records.
        """
        try:
            yield
        except BadRecord:
            if self._compressed:
                for _ in self.blocks():
                    pass
            raise

    def _check_size(self, out: int, file: IO[bytes]) -> None:
        if self.unlimited or self.compression is Compression.NONE or out <= FREE_BYTES:
            return
        if out > MOST_BYTES or out > MOST_RATIO * max(file.tell(), 1):
            raise WindlassError(
                f"{self.place}: decompresses to more than {out >> 20:,} MB, from"
                f" {file.tell() / (1 << 20):,.1f} MB",
                hint=f"if it is what you expect, lift the limit: {word('unlimited')}",
                side="source",
            )

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise WindlassError(f"{self.place}: there is no such file", side="source") from error
        except IsADirectoryError as error:
            raise WindlassError(f"{self.place}: is a folder", side="source") from error
        except PermissionError as error:
            raise WindlassError(f"{self.place}: no permission to read it", side="source") from error
        except _FAULTS as error:
            what = f"cannot be read as {self.compression}" if self._compressed else "cannot be read"
            raise WindlassError(
                f"{self.place}: {what}: {_reason(error)}",
                hint="fetch it again: it may be incomplete" if self._compressed else "",
                side="source",
            ) from error

    @property
    def _compressed(self) -> bool:
        return self.compression is not Compression.NONE


def _state(file: IO[bytes]) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


def _reason(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


# each kind of compression


def _read(file: Any) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield bytes(block)


def _plain(stored: Stored, file: IO[bytes]) -> Iterator[bytes]:
    yield from _read(file)


def _gzip(stored: Stored, file: IO[bytes]) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file, mode="rb") as opened:
        yield from _read(opened)


def _zstd(stored: Stored, file: IO[bytes]) -> Iterator[bytes]:
    import pyarrow as pa

    # pyarrow closes what it reads from; a duplicate shares the position
    with os.fdopen(os.dup(file.fileno()), "rb", buffering=0) as same:
        yield from _read(pa.CompressedInputStream(pa.PythonFile(same, "r"), "zstd"))


def _bz2(stored: Stored, file: IO[bytes]) -> Iterator[bytes]:
    return _members(file, bz2.BZ2Decompressor, b"")


def _xz(stored: Stored, file: IO[bytes]) -> Iterator[bytes]:
    return _members(file, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES), b"\0")


def _members(file: IO[bytes], new: Callable[[], Any], padding: bytes) -> Iterator[bytes]:
    """Decompress several members. Python's own readers treat a damaged member as the end of the
    file."""
    given = file.read(1 << 20)
    while given:
        one = new()
        while not one.eof:
            if one.needs_input and not given:
                raise EOFError("it ends too early")
            block = one.decompress(given, BLOCK_BYTES)
            given = file.read(1 << 20) if one.needs_input else b""
            if block:
                yield block
        given = (one.unused_data or given).lstrip(padding or b"")
        while not given and (more := file.read(1 << 20)):
            given = more.lstrip(padding) if padding else more


def _zip(stored: Stored, file: IO[bytes]) -> Iterator[bytes]:
    with zipfile.ZipFile(file) as archive:
        name = member_of(stored, archive)
        info = archive.getinfo(name)
        if info.flag_bits & 1:
            raise WindlassError(f"{stored.place}: {name} is encrypted", side="source")
        with archive.open(info) as opened:
            yield from _read(opened)


def member_of(stored: Stored, archive: zipfile.ZipFile) -> str:
    """The name of the file to read in a zip file.

    Raises:
        WindlassError: there are none or several.
    """
    names = [one.filename for one in archive.infolist() if not one.is_dir()]
    if stored.member:
        names = [name for name in names if name == stored.member]
        if len(names) == 1:
            return names[0]
        what = "several are" if names else "none is"
        raise WindlassError(f"{stored.place}: {what} called {stored.member}", side="source")
    if len(names) == 1:
        return names[0]
    shown = ", ".join(sorted(names)[:10])
    raise WindlassError(
        f"{stored.place}: has {len(names):,} files{f': {shown}' if shown else ''}",
        hint=f"name one of them: {word('member')}",
        side="source",
    )


def zip_member(stored: Stored) -> str:
    """The name of the file within a zip file, by which its format is decided."""
    with stored._explaining(), zipfile.ZipFile(stored.path) as archive:
        return member_of(stored, archive)


_OPENERS: dict[Compression, Callable[[Stored, IO[bytes]], Any]] = {
    Compression.NONE: _plain,
    Compression.GZIP: _gzip,
    Compression.ZSTD: _zstd,
    Compression.BZ2: _bz2,
    Compression.XZ: _xz,
    Compression.ZIP: _zip,
}
