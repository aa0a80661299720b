"""The steps of the flow `export`: relations into files of an object store, then a warehouse.

Each step checks whether its work is done: an extract reads its manifest, a load the warehouse's
record. So each can be killed at any point and run again.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

from windlass.engines.objects.store import ObjectStore, fetched, vanished
from windlass.errors import Different, WindlassError
from windlass.flows.export.commits import Commits
from windlass.flows.export.context import Exporting
from windlass.flows.export.extracting import write_files
from windlass.flows.export.hooks import AFTER_RUN, BEFORE_RUN, run_hooks
from windlass.flows.export.manifests import shows_the_same, written
from windlass.flows.export.publishing import LATEST, Published, run_manifest
from windlass.model.event import Noticed
from windlass.model.export import Export, File, Loaded, Manifest
from windlass.model.flow import Item, Result
from windlass.model.report import Difference, DifferenceKind
from windlass.transfer.files import count_csv, count_parquet


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
    if found and _is_still_right(run, export, found):
        if run.target is None:
            run.emit(Noticed(f"{export.name}: run {run.run} has been written before"))
        return written(found)
    done = _loaded(run, export)
    if done:
        return {"rows": done.rows}
    started = time.perf_counter()
    run.take_snapshot()
    export = run.export(item.id)  # with what its watermark is in the snapshot
    manifests.clear(export)  # left by a killed extract
    manifest = write_files(run, export)
    manifests.write(export, manifest)
    return {**written(manifest), "seconds": round(time.perf_counter() - started, 3)}


def _is_still_right(run: Exporting, export: Export, found: Manifest) -> bool:
    """Whether the files of an earlier attempt are what this one would write."""
    if Commits(run.store).has(found):
        return True
    if _has_holes(export, found) or not shows_the_same(export, found):
        return False
    return found.commit == export.span.commit  # else another run has added rows since


def _has_holes(export: Export, found: Manifest) -> bool:
    """Whether the files have only changed rows, although the table has lost the earlier ones."""
    return bool(found.since and not export.span.since)


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
    if export.rules.require_rows and not manifest.rows:
        raise WindlassError(
            f"{export.name} has no rows, but require-rows is set",
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
    """Load the files into the warehouse, once per run. After the last relation, files that stay are
    published."""
    export = run.export(item.id)
    run_hooks(run, BEFORE_RUN)
    result = _load(run, export)
    if run.threads.completes(export.name, [one.name for one in run.exports]):
        if run.keeps_files:
            _publish(run)
        run_hooks(run, AFTER_RUN)
    return result


def _publish(run: Exporting) -> None:
    found = [(one, run.manifests.read(one)) for one in run.exports]
    complete = [(export, manifest) for export, manifest in found if manifest is not None]
    if len(complete) < len(found):  # the run was loaded before, and not all files were kept
        return
    source = run.recording.source or run.source.place
    manifest = run_manifest(run.run, source, complete)
    if not Published(run.store).publish(manifest):
        run.emit(
            Noticed(
                f"{LATEST} shows a run of a later snapshot or of another source, and stays as it is"
            )
        )


def _load(run: Exporting, export: Export) -> Result:
    manifest = run.manifests.read(export)
    if run.target is None:
        if manifest and manifest.commit:
            Commits(run.store).add(export, manifest)
        return {}
    if manifest is None:
        done = _loaded_before(run, export)
    else:  # `load` finds out itself whether it was done before
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
    if export.disposition == "truncate" and done.is_last and done.rows == done.read:
        gone = done.total - run.target.count(export.table)  # a hook may have changed how many
        counted -= gone
    if counted != done.read:
        message = f"{done.read:,} rows were read, {counted:,} are in {run.target.place}"
        raise Different([Difference(DifferenceKind.COUNT, export.table, message)])
    known = {"run": run.run, "rows": counted}
    if manifest:
        known |= {"bytes": manifest.size_bytes, "snapshot": manifest.read_at}
    assets = [{**one, **known} for one in run.target.assets(export.table)]
    return {"rows": counted, **losses, "assets": assets}


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
    """The record of the load, for files that were already removed.

    Raises:
        WindlassError: the files are gone for another reason.
    """
    found = _loaded(run, export)
    if found is None:
        raise vanished(run.manifests.place(export))
    return found
