"""The peer's program: rows of a CSV file through Django's models.

As its documentation has it: objects, in batches of 1,000, by `bulk_create(update_conflicts=True)`
or by `bulk_update`, in one transaction. Values are made Python's as a form would.

    python django_rows.py URL FILE create|update
"""

import csv
import sys
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from json import loads
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

BATCH_ROWS = 1_000
READ_ROWS = 50_000
CHANGING = ("happened_at", "account_id", "kind", "amount", "details", "billed", "score", "token")


def main(url: str, file: str, way: str) -> None:
    model = _model(url)
    atomic = import_module("django.db.transaction").atomic
    with Path(file).open(newline="") as lines, atomic():
        rows = csv.DictReader(lines)
        while objects := list(_objects(model, islice(rows, READ_ROWS))):
            if way == "create":
                model.objects.bulk_create(
                    objects,
                    batch_size=BATCH_ROWS,
                    update_conflicts=True,
                    unique_fields=["id"],
                    update_fields=CHANGING,
                )
            else:
                model.objects.bulk_update(objects, CHANGING, batch_size=BATCH_ROWS)


def _objects(model: Any, rows: Iterator[dict[str, Any]]) -> Iterator[Any]:
    fields = {one.attname: one for one in model._meta.fields}
    for row in rows:
        row["details"] = loads(row["details"])
        row["billed"] = row["billed"] == "t"
        yield model(**{name: fields[name].to_python(value) for name, value in row.items()})


def _model(url: str) -> Any:
    """An unmanaged model of `events`."""
    at = urlsplit(url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": at.hostname,
        "PORT": at.port,
        "USER": at.username,
        "NAME": at.path.lstrip("/"),
    }
    import_module("django.conf").settings.configure(DATABASES={"default": database}, USE_TZ=True)
    import_module("django").setup()
    models: Any = import_module("django.db.models")
    meta = type("Meta", (), {"app_label": "bench", "managed": False, "db_table": "events"})
    fields = {
        "id": models.BigIntegerField(primary_key=True),
        "happened_at": models.DateTimeField(),
        "account_id": models.IntegerField(),
        "kind": models.TextField(),
        "amount": models.DecimalField(max_digits=12, decimal_places=2, null=True),
        "details": models.JSONField(),
        "billed": models.BooleanField(),
        "score": models.FloatField(null=True),
        "token": models.UUIDField(),
    }
    return type("Event", (models.Model,), {"__module__": __name__, "Meta": meta, **fields})


if __name__ == "__main__":
    main(*sys.argv[1:])
