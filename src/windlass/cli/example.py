"""A commented example of a spec file for each flow, made from the flow's entries."""

from __future__ import annotations

import textwrap

from windlass.spec.fields.flows import ENTRIES

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


def example(flow: str = "migrate") -> str:
    """YAML that loads as it stands."""
    parts = [_HEAD.format(title=_TITLES[flow], flow=flow)]
    for entry in ENTRIES[flow].values():
        comment = textwrap.fill(entry.text, 92, initial_indent="# ", subsequent_indent="# ")
        mark = "" if entry.in_example else "# "
        parts.append(f"{comment}\n{mark}{entry.word}: {entry.example}\n")
    return "\n".join(parts)
