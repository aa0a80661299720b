"""The steps of the flow `export`: relations into files of an object store, then a warehouse.

Each step checks whether its work is done: an extract reads its manifest, a load the warehouse's
record. So each can be killed at any point and run again.
"""

from __future__ import annotations

import secrets
import time
from contextlib import closing
from dataclasses import replace
from functools import partial

from windlass.engines.base import FILES, Rows
from windlass.engines.objects.store import ObjectStore, fetched, vanished
from windlass.errors import Different, WindlassError
from windlass.flows.export.context import Exporting
from windlass.model.event import Noticed
from windlass.model.export import Export, File, Loaded, Losses, Manifest, loss_messages
from windlass.model.flow import Item, Result
from windlass.model.report import Difference, DifferenceKind
from windlass.spec.choices import Compression, Format
from windlass.transfer.files import (
    Layout,
    ahead,
    count_csv,
    count_parquet,
    write_csv,
    write_parquet,
)
from windlass.transfer.shape import Shaper
from windlass.transfer.text import csv_lines


def read_source(run: Exporting, _: Item) -> Result:
    """Plan, refuse what is not possible, and hold the snapshot."""
    run.begin()
    return run.handle


def exports(run: Exporting) -> list[Item]:
    """Largest first, so that a small one ends last."""
    some = sorted(run.exports, key=lambda one: -one.size_bytes)
    return [Item(one.name, one.name, one.size_bytes) for one in some]


def extract(run: Exporting, item: Item) -> Result:
    """Write rows to files, and the manifest last: it shows that they are complete."""
    export, manifests = run.export(item.id), run.manifests
    found = manifests.read(export)
    if found and not _has_holes(export, found) and _shows_the_same(export, found):
        if run.target is None:
            run.emit(Noticed(f"{export.name}: run {run.run} has been written before"))
        return _written(found)
    done = _loaded(run, export)
    if done:
        return {"rows": done.rows}
    started = time.perf_counter()
    manifests.clear(export)  # left by a killed extract
    manifest = _extract(run, export)
    manifests.write(export, manifest)
    return {**_written(manifest), "seconds": round(time.perf_counter() - started, 3)}


def _has_holes(export: Export, found: Manifest) -> bool:
    """Whether only changed rows were read although the table has lost the earlier ones."""
    return bool(found.since and not export.span.since)


def _shows_the_same(export: Export, found: Manifest) -> bool:
    """False if the files have columns that are masked or left out now, or the other way round."""
    masks = {one.name: one.mask for one in export.columns}
    return all(masks.get(one.name) == one.mask for one in found.columns)


def _written(manifest: Manifest) -> Result:
    return {
        "rows": manifest.rows,
        "bytes": manifest.size_bytes,
        "files": len(manifest.files),
        "snapshot": manifest.snapshot,
        **({"losses": manifest.losses} if manifest.losses else {}),
    }


def _extract(run: Exporting, export: Export) -> Manifest:
    layout = _layout(run, export)
    with run.source.reading(export, run.loads_into, run.run) as rows:
        write = _write_csv if run.spec.format is Format.CSV else _write_parquet
        files, losses = write(run, export, rows, layout)
    return Manifest(
        run.run,
        export.name,
        str(run.spec.format),
        layout.compression,
        tuple(files),
        export.columns,
        losses=loss_messages(losses),
        snapshot=run.snapshot.number,
        watermark=export.span.upto,
        since=export.span.since,
        mark=export.mark,
        id=secrets.token_hex(8),
    )


def _layout(run: Exporting, export: Export) -> Layout:
    compression, form = run.spec.compressed_by, run.spec.format
    packed = ".gz" if form is Format.CSV and compression is Compression.GZIP else ""
    folder = run.manifests.folder(export)
    return Layout(folder, f"{form}{packed}", str(compression), run.spec.file_size)


def _write_parquet(
    run: Exporting, export: Export, rows: Rows, layout: Layout
) -> tuple[list[File], Losses]:
    shaper = Shaper(export.columns, run.loads_into)
    with closing(ahead(rows.batches)) as batches:
        files = write_parquet(run.store, layout, shaper.schema, map(shaper.shape, batches))
    return files, rows.losses + shaper.losses


def _write_csv(
    run: Exporting, export: Export, rows: Rows, layout: Layout
) -> tuple[list[File], Losses]:
    """From the source's own CSV if it writes any, else from its batches."""
    columns, target = export.columns, run.loads_into
    names = [column.name for column in columns]
    if (lines := rows.lines()) is not None:
        with closing(lines):
            return write_csv(run.store, layout, names, lines), rows.losses
    # text can express infinity, unlike Parquet
    shaper = Shaper(columns, replace(target, infinity=target.infinity or target is FILES))
    with closing(ahead(rows.batches)) as batches:
        made = csv_lines(map(shaper.shape, batches), columns, target)
        files = write_csv(run.store, layout, names, made)
    return files, rows.losses + shaper.losses


def check_objects(run: Exporting, item: Item) -> Result:
    """Check that every object exists, with the size and rows that were written.

    Raises:
        WindlassError: a check failed, or there are no rows where some are required.
    """
    export = run.export(item.id)
    manifest = run.manifests.read(export)
    if manifest is None:
        return {"rows": _loaded_before(run, export).rows}
    for file in manifest.files:
        size = run.store.size(file.path)
        place = run.store.place(file.path)
        if size is None:
            raise vanished(place)
        if size != file.size_bytes:
            raise WindlassError(f"{place} has {size} bytes, {file.size_bytes} were written")
        rows = _count_rows(run.store, manifest, file)
        if rows != file.rows:
            raise WindlassError(f"{place} has {rows} rows, {file.rows} were read")
    if export.require_rows and not manifest.rows:
        raise WindlassError(
            f"{export.name} has no rows, and require-rows was asked for",
            hint="nothing was loaded; the warehouse is as it was",
        )
    return {"rows": manifest.rows, "bytes": manifest.size_bytes}


def _count_rows(store: ObjectStore, manifest: Manifest, file: File) -> int:
    """The row count that the file itself has."""
    if manifest.format == "parquet":
        return count_parquet(partial(store.part, file.path), file.size_bytes)
    with fetched(store, file.path) as local:
        return count_csv(local, packed=manifest.compression == "gzip")


def load(run: Exporting, item: Item) -> Result:
    """Load the files into the warehouse, once per run."""
    export = run.export(item.id)
    if run.target is None:
        return {}
    manifest = run.manifests.read(export)
    if manifest is None:
        done = _loaded_before(run, export)
    else:  # which finds finished work itself
        export = replace(export, columns=manifest.columns)
        done = run.target.load(export, manifest, run.store)
    if not done.is_new:
        run.emit(Noticed(
            f"{export.name}: run {run.run} has been loaded into {export.table} before:"
            " nothing is loaded again; another run would be"
        ))  # fmt: skip
    return {"rows": done.rows, "total": done.total, "table": export.table}


def check_rows(run: Exporting, item: Item) -> Result:
    """Check that as many rows arrived as were read.

    Raises:
        Different: more, or fewer.
    """
    export = run.export(item.id)
    manifest = run.manifests.read(export)
    losses = {"losses": manifest.losses} if manifest and manifest.losses else {}
    if run.target is None:
        return {"rows": manifest.rows if manifest else 0, **losses}
    done = _loaded(run, export)
    if not done:
        raise WindlassError(f"{export.table} has not been loaded", hint="run the load again")
    counted = done.rows
    if export.disposition == "truncate" and done.is_last:
        counted = run.target.count(export.table)
    if counted != done.read:
        message = f"{done.read:,} rows were read, {counted:,} are in {run.target.place}"
        raise Different([Difference(DifferenceKind.COUNT, export.table, message)])
    return {"rows": counted, **losses, "assets": run.target.assets(export.table)}


def clean_up(run: Exporting, item: Item) -> Result:
    """Remove the files once they are loaded, or after a failure, unless `keep-files`. Without a
    warehouse the files are the result and stay."""
    export = run.export(item.id)
    removed = {}
    if not (run.spec.keep_files or (run.target is None and run.manifests.read(export))):
        removed = {"removed": run.manifests.clear(export)}
    if run.target is not None:
        run.target.clean_up(export, run.run)
    return removed


def _loaded(run: Exporting, export: Export) -> Loaded | None:
    return run.target.loaded(run.run, export) if run.target else None


def _loaded_before(run: Exporting, export: Export) -> Loaded:
    """The load's record, if the files were already removed.

    Raises:
        WindlassError: the files are gone for another reason.
    """
    found = _loaded(run, export)
    if found is None:
        raise vanished(run.manifests.place(export))
    return found
