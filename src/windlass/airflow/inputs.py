"""The inputs of a load on Airflow: a database that a spec names by the id of a connection, and an
object store whose credentials are in a connection.

``from: {source: shop_old, query: select ...}`` names an Airflow connection, or ``variable:NAME``; a
file such as ``sqlite:///srv/shop.db`` is an address by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from windlass.airflow.clouds import with_logins
from windlass.airflow.connections import address_of, is_address

_FILES = ("sqlite", "duckdb")
_STORES = ("s3", "gs", "az")

Words = Mapping[str, Any]


def with_connections(words: Words) -> dict[str, Any]:
    """The options of a spec, with the contents of the connections that they name.

    Raises:
        WindlassError: there is no such connection, or it is of another type.
    """
    return with_logins(with_sources(words, address_of), store_of(words))


def with_sources(words: Words, address: Callable[[str], str]) -> dict[str, Any]:
    """The options of a spec, with the address of each source that is a connection."""

    def change(one: Any) -> Any:
        if not isinstance(one, Mapping) or not is_reference(one.get("source")):
            return one
        return {**one, "source": address(one["source"])}

    found = dict(words)
    if "from" in found:
        given = found["from"]
        found["from"] = [change(one) for one in given] if _is_list(given) else change(given)
    if _is_list(found.get("loads")):
        found["loads"] = [
            with_sources(one, address) if isinstance(one, Mapping) else one
            for one in found["loads"]
        ]
    return found


def is_reference(source: Any) -> bool:
    """Whether it stands for a connection."""
    return isinstance(source, str) and bool(source) and not is_address(source)


def is_file(address: Any) -> bool:
    """Whether a database is a file, which needs no connection."""
    return isinstance(address, str) and urlsplit(address).scheme in _FILES


def addresses_in(words: Words) -> Iterator[tuple[str, str]]:
    """Each address in the spec, with its place there: addresses of files, APIs and databases."""
    for place, one in _inputs(words):
        if isinstance(one, str):
            yield place, one
        elif isinstance(one, Mapping):
            api = one.get("api")
            for key in ("path", "source"):
                if isinstance(one.get(key), str):
                    yield f"{place}.{key}", one[key]
            if isinstance(api, Mapping) and isinstance(api.get("url"), str):
                yield f"{place}.api.url", api["url"]


def store_of(words: Words) -> str:
    """The first address of an object store that a spec reads from; empty if there is none."""
    found = (one for _, one in addresses_in(words) if urlsplit(one).scheme in _STORES)
    return next(found, "")


def _inputs(words: Words, place: str = "") -> Iterator[tuple[str, Any]]:
    given = words.get("from", ())
    if not _is_list(given):
        yield f"{place}from", given
    else:
        for number, one in enumerate(given):
            yield f"{place}from.{number}", one
    loads = words.get("loads")
    for number, one in enumerate(loads) if _is_list(loads) and loads else ():
        if isinstance(one, Mapping):
            yield from _inputs(one, f"{place}loads.{number}.")


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
