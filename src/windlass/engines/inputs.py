"""Opens what rows are read from: files on this machine, on the web and in object stores, pages of
an API, a query of a database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from windlass.engines.landing import Input
from windlass.errors import BadSpec, Refused, WindlassError
from windlass.model.inputs import ApiFrom, FilesFrom, Format, From, QueryFrom
from windlass.model.load import Identity
from windlass.model.report import Problem

WEB = ("http", "https")
STORES = ("s3", "gs", "az")


def never() -> bool:
    return False


def open_inputs(
    source: From, folder: Path | None = None, *, is_stopped: Callable[[], bool] = never
) -> Sequence[Input]:
    """The inputs, always in the same order: that of the locations, and by name within a pattern.
    Anything that is not on this machine is first fetched into the `folder` of a run, unless it is
    there already.

    Raises:
        BadSpec: the description contradicts itself.
        Refused: files are not there, or have other fields than the first. Has every problem.
        BadRecord: a header, or a file of JSON, cannot be read.
        ConnectionLost: a server cannot be reached, or hangs up again and again.
        WindlassError: a file cannot be fetched or read, or a library is not installed.
        Interrupted: `is_stopped` says so.
    """
    try:
        if isinstance(source, QueryFrom):
            from windlass.engines.query_input import QueryInput

            return [QueryInput(source)]
        if isinstance(source, ApiFrom):
            return _open_pages(source, _made(folder), is_stopped)
        return _open_files(source, folder, is_stopped)
    except ImportError as error:
        raise WindlassError(
            f"{error.name} is not installed", hint="pip install 'windlass-db[load]'"
        ) from error


@dataclass(frozen=True, slots=True)
class _Here:
    """A file on this machine, its name for people, the name that decides its format, and what is
    known about it."""

    path: Path
    place: str
    name: str
    identity: Identity | None = None


def _open_pages(api: ApiFrom, folder: Path, is_stopped: Callable[[], bool]) -> Sequence[Input]:
    from windlass.engines.files.opening import open_file
    from windlass.engines.web.api import fetch_pages

    found = fetch_pages(api, folder, is_stopped=is_stopped)
    assert found.path is not None
    source = FilesFrom((api.url,), Format.JSON_LINES, json=api.json)
    return [open_file(source, found.path, found.place, found.name, found.identity)]


def _open_files(
    source: FilesFrom, folder: Path | None, is_stopped: Callable[[], bool]
) -> Sequence[Input]:
    from windlass.engines.files.locations import scheme_of
    from windlass.engines.files.opening import aligned, open_file, open_files

    schemes = {scheme_of(one) for one in source.locations}
    if unknown := sorted(schemes - {"", "file", *WEB, *STORES}):
        known = ", ".join(f"{one}://" for one in ("file", *WEB, *STORES))
        raise BadSpec([f"from: {one}:// is not supported; use a path, {known}" for one in unknown])
    if schemes <= {"", "file"}:
        return open_files(source)
    here = list(_fetched(source, _made(folder), is_stopped))
    inputs = [open_file(source, one.path, one.place, one.name, one.identity) for one in here]
    return aligned(inputs)


def _fetched(source: FilesFrom, folder: Path, is_stopped: Callable[[], bool]) -> Iterator[_Here]:
    from windlass.engines.files.locations import local_files, scheme_of

    problems: list[Problem] = []
    here: list[_Here] = []
    for location in source.locations:
        scheme = scheme_of(location)
        try:
            if scheme in WEB:
                here.append(_from_web(location, folder, is_stopped))
            elif scheme in STORES:
                here += _from_store(location, dict(source.store_options), folder, is_stopped)
            else:
                here += [_Here(path, place, place) for path, place in local_files([location])]
        except Refused as error:
            problems += error.problems
    problems += [
        Problem(place, f"is given {count} times", "give each file once")
        for (_, place), count in Counter((one.path.resolve(), one.place) for one in here).items()
        if count > 1
    ]
    if problems:
        raise Refused(problems)
    yield from here


def _from_web(url: str, folder: Path, is_stopped: Callable[[], bool]) -> _Here:
    from windlass.engines.web.download import download

    found = download(url, folder, is_stopped=is_stopped)
    assert found.path is not None, "without what is known, nothing is unchanged"
    return _Here(found.path, found.place, found.name, found.identity)


def _from_store(
    location: str, options: Mapping[str, str], folder: Path, is_stopped: Callable[[], bool]
) -> Iterator[_Here]:
    from windlass.engines.objects.fetching import fetch, find

    found = find(location, options)
    if not found:
        raise Refused([Problem(location, "there is no such object", "check bucket and path")])
    for one in found:
        path, identity = fetch(one, folder, is_stopped)
        yield _Here(path, one.place, one.path, identity)


def _made(folder: Path | None) -> Path:
    if folder is None:
        raise ValueError("what is fetched needs a folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def are_unchanged(
    sources: Sequence[FilesFrom],
    known: Sequence[Identity],
    folder: Path,
    is_stopped: Callable[[], bool] = never,
) -> bool:
    """Whether web servers and object stores say that their files are still those that were `known`,
    in this order. A file of the web that has changed is in the folder afterwards, for
    `open_inputs`.

    Raises: as `open_inputs`.
    """
    checks = [one for source in sources for one in _checks(source, _made(folder), is_stopped)]
    return len(checks) == len(known) and all(
        is_same(one) for is_same, one in zip(checks, known, strict=True)
    )


def _checks(
    source: FilesFrom, folder: Path, is_stopped: Callable[[], bool]
) -> Iterator[Callable[[Identity], bool]]:
    from windlass.engines.files.locations import scheme_of
    from windlass.engines.objects.fetching import find, is_same
    from windlass.engines.web.download import download

    def is_known_to_server(url: str, known: Identity) -> bool:
        return download(url, folder, known, is_stopped=is_stopped).path is None

    for location in source.locations:
        if scheme_of(location) in WEB:
            yield partial(is_known_to_server, location)
        else:
            for found in find(location, dict(source.store_options)):
                yield partial(is_same, found)
