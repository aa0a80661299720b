"""A commented example of a spec file for each flow, made from the fields of its model."""

from __future__ import annotations

import textwrap

from windlass.spec.loading import SPECS
from windlass.spec.spec import spec_keys

_TITLES = {
    "migrate": "A migration, as a file:  windlass migrate -f shop.yaml",
    "rewrite": "A rewrite of rows, as a file:  windlass rewrite -f reviews.yaml",
    "export": "An export, as a file:  windlass export -f lake.yaml",
}
_HEAD = """\
# {title}
#
# Options given on the command line win over the file. Keep passwords out of it: PGPASSWORD, the
# password file (~/.pgpass) and services are used.
# Editors complete it with the schema that `windlass spec {flow} --schema` prints.

flow: {flow}
"""
_OLD = "postgresql://app@old.example.com:5432/shop"
_VALUES = {
    "migrate": {
        "source": _OLD,
        "target": "postgresql://app@new.example.com:5432/shop",
        "schema": "[shop, audit]",
        "include": "['shop.*']",
        "exclude": "['*.tmp_*']",
        "map-schema": "{shop: store}",
        "jobs": "4",
        "chunk-by": "auto",
        "chunk-size": "64MB",
        "partition-threshold": "1000000",
        "max-partitions": "64",
        "chunk-rows": "100000",
        "unlogged": "auto",
        "schema-only": "false",
        "data-only": "false",
        "existing": "refuse",
        "accept": "[constraints]",
        "verify": "full",
        "one-snapshot": "false",
        "allow-empty-source": "false",
        "snapshot": "00000003-0000001B-1",
    },
    "rewrite": {
        "connection": _OLD,
        "schema": "shop",
        "table": "review",
        "backup-schema": "backup",
        "select": "stars = 1",
        "set": "{body: {sql: upper(body)}}",
        "add": "{checked: {value: true}}",
        "function": "shop.reviews:clean",
        "frame": "pandas",
        "batch-rows": "20000",
        "key": "product_id",
        "id": "id",
        "stamp": "null",
        "drop-duplicates": "false",
        "delete": "selected",
        "backup": "full",
    },
    "export": {
        "source": _OLD,
        "to": "s3://lake/shop",
        "warehouse": "duckdb:////srv/shop.duckdb",
        "into": "shop",
        "relations": "['shop.*', {name: shop.orders, where: total > 0}]",
        "exclude": "['shop.tmp_*']",
        "format": "parquet",
        "compression": "auto",
        "file-size": "128MB",
        "disposition": "truncate",
        "require-rows": "false",
        "keep-files": "false",
        "mask": "['*.email']",
        "leave-out": "[shop.customer.password_hash]",
        "unmatched": "refuse",
        "store-options": "{region: eu-central-1}",
        "jobs": "4",
    },
}
# Everything else stays a comment: the default is what most want.
_GIVEN = {
    "migrate": ("source", "target"),
    "rewrite": ("connection", "schema", "table", "select", "set", "id", "stamp"),
    "export": ("source", "to"),
}


def example(flow: str = "migrate") -> str:
    """YAML that loads as it stands."""
    parts = [_HEAD.format(title=_TITLES[flow], flow=flow)]
    model = SPECS[flow]
    for key, field in zip(spec_keys(model), model.model_fields.values(), strict=True):
        text = " ".join((field.description or "").split())
        comment = textwrap.fill(text, 92, initial_indent="# ", subsequent_indent="# ")
        mark = "" if key in _GIVEN[flow] else "# "
        parts.append(f"{comment}\n{mark}{key}: {_VALUES[flow][key]}\n")
    return "\n".join(parts)
