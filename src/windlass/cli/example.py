"""A commented example of a spec file for each flow, made from the flow's entries."""

from __future__ import annotations

import textwrap

from windlass.flows.registry import entries_of, flow_named

_HEAD = """\
# {article} {noun}, as a file:  windlass {verb} -f {verb}.yaml
#
# Options given on the command line win over the file. Keep passwords out of it: PGPASSWORD, the
# password file (~/.pgpass) and services are used.
# Editors complete it with the schema that `windlass spec {flow} --schema` prints.

flow: {flow}
"""


def example(flow: str = "migrate") -> str:
    """YAML that loads as it stands."""
    found = flow_named(flow)
    noun, verb = found.words.noun, found.words.verb
    article = "An" if noun[0] in "aeiou" else "A"
    parts = [_HEAD.format(article=article, noun=noun, verb=verb, flow=flow)]
    for entry in entries_of(found).values():
        comment = textwrap.fill(entry.text, 92, initial_indent="# ", subsequent_indent="# ")
        mark = "" if entry.in_example else "# "
        parts.append(f"{comment}\n{mark}{entry.word}: {entry.example}\n")
    return "\n".join(parts)
