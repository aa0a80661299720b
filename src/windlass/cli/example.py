"""A commented example of a spec file, made from the fields of `windlass.spec.spec.Spec`."""

from __future__ import annotations

import textwrap

from windlass.spec.spec import Spec, spec_keys

_HEAD = """\
# A migration, as a file:  windlass plan -f shop.yaml,  windlass migrate -f shop.yaml
#
# The keys are the options of the command line; options given there win over the file. Keep
# passwords out of it: PGPASSWORD, the password file (~/.pgpass) and services are used.
# Editors complete it with the schema that `windlass spec --schema` prints.
"""
_VALUES = {
    "source": "postgresql://app@old.example.com:5432/shop",
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
}
_GIVEN = ("source", "target")  # everything else stays a comment: the default is what most want


def example() -> str:
    """YAML that loads as it stands."""
    parts = [_HEAD]
    for key, field in zip(spec_keys(), Spec.model_fields.values(), strict=True):
        words = " ".join((field.description or "").split())
        comment = textwrap.fill(words, 92, initial_indent="# ", subsequent_indent="# ")
        mark = "" if key in _GIVEN else "# "
        parts.append(f"{comment}\n{mark}{key}: {_VALUES[key]}\n")
    return "\n".join(parts)
