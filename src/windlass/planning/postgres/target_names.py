"""The target names of the source's objects, if schemas are renamed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from windlass.engines.postgres.quoting import quote_identifier
from windlass.engines.postgres.rename import rename_schemas
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass
from windlass.model.statement import Statement
from windlass.planning.naming import target_name


def target_tag(tag: str, schemas: Mapping[str, str]) -> str:
    """The tag of a routine or operator, with the schemas of its argument types renamed."""
    name, bracket, arguments = tag.partition("(")
    return f"{name}({renamed_text(arguments, schemas)}" if bracket else tag


def renamed_text(text: str, schemas: Mapping[str, str]) -> str:
    """A text that names objects as PostgreSQL writes them, with their schemas renamed."""
    quoted = {quote_identifier(old): quote_identifier(new) for old, new in schemas.items()}
    if not quoted:
        return text
    some = "|".join(map(re.escape, quoted))
    return re.sub(rf'(?<![\w$."])({some})(?=\.)', lambda found: quoted[found[1]], text)


def rename_statements(
    statements: Iterable[Statement], schemas: Mapping[str, str]
) -> tuple[list[Statement], list[Loss]]:
    if not schemas:
        return list(statements), []
    found, losses = [], []
    for statement in statements:
        renamed = rename_schemas(statement.sql, schemas)
        losses += [Loss(str(statement), why, LossClass.BEHAVIOUR) for why in renamed.losses]
        name, relation = _rename_tag(statement.kind, statement.name, schemas), statement.relation
        found.append(
            replace(
                statement,
                sql=renamed.sql,
                drop=rename_schemas(statement.drop, schemas).sql if statement.drop else "",
                name=target_name(name, schemas),
                relation=target_name(relation, schemas) if relation else None,
            )
        )
    return found, losses


def _rename_tag(kind: str, name: Name, schemas: Mapping[str, str]) -> Name:
    """The name with the schemas in its tag renamed, in pg_dump's quoting."""
    if kind == "PUBLICATION TABLES IN SCHEMA" and name.schema in schemas:
        head = name.name.removesuffix(name.schema)
        return replace(name, name=f"{head}{schemas[name.schema]}")
    if name.schema or "(" in name.name:  # a cast lives in no schema, but its types do
        return replace(name, name=target_tag(name.name, schemas))
    if name.name.startswith("TRANSFORM FOR "):
        return replace(name, name=renamed_text(name.name, schemas))
    if kind in ("SCHEMA", "SCHEMA OWNER"):
        return replace(name, name=schemas.get(name.name, name.name))
    for old, new in schemas.items():
        if name.name == f"SCHEMA {quote_identifier(old)}":
            return replace(name, name=f"SCHEMA {quote_identifier(new)}")
    return name
