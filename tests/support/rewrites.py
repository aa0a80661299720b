"""A table to be rewritten, and the flow `rewrite` as its shells run it: whole, or step by step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from servers import Database
from windlass.api import rewrite
from windlass.flows.rewrite.context import Rewriting
from windlass.flows.rewrite.outline import REWRITE
from windlass.model.event import ignore
from windlass.model.flow import ONE, Result, resolve
from windlass.model.outcome import Outcome, StartedBy, State
from windlass.spec.model import validated
from windlass.spec.rewrite import RewriteSpec

STEPS = [step.name for step in REWRITE.steps]
PRODUCT: dict[str, Any] = {"add": {"product_id": {"value": "ABCD"}}}
# of a table that waits to be exported
WAITING: dict[str, Any] = {
    "table": "message",
    "select": "exported_at = '9999-12-31'",
    "key": "base",
    "id": "message_id",
    "stamp": "exported_at",
}
MESSAGES = """
create table message (message_id bigint primary key, base text not null, body text,
    total numeric(10, 2), exported_at timestamp not null default '9999-12-31');
insert into message
    select n, 'base ' || n / 4, 'body ' || n, n / 7.0,
        case when n % 2 = 0 then '9999-12-31' else timestamp '2026-01-01' end
    from generate_series(1, 40) n;
"""


def fill(database: Database) -> Database:
    database.run(MESSAGES)
    return database


def spec(database: Database, words: Mapping[str, Any] = PRODUCT) -> RewriteSpec:
    return validated(RewriteSpec, {"connection": database.url, **WAITING, **words})


def run(database: Database, words: Mapping[str, Any] = PRODUCT) -> Outcome:
    """To its end, whatever that is."""
    return rewrite(spec(database, words), ignore)


def done(database: Database, words: Mapping[str, Any] = PRODUCT) -> Outcome:
    outcome = run(database, words)
    assert outcome.state is State.DONE, outcome
    return outcome


def problems(database: Database, words: Mapping[str, Any] = PRODUCT) -> str:
    outcome = run(database, words)
    assert outcome.state is State.REFUSED, outcome
    return "\n".join(map(str, outcome.reason.problems))


def step(
    database: Database,
    name: str,
    words: Mapping[str, Any] = PRODUCT,
    external_run: str = "airflow migrate_to_db run_1",
) -> Result:
    """One step in a separate context, as a scheduler's task has it."""
    with Rewriting(spec(database, words), started_by=StartedBy(external_run)) as context:
        result: Result = resolve(REWRITE.step(name).run)(context, ONE)
        return result


def steps(
    database: Database,
    first: str,
    last: str,
    words: Mapping[str, Any] = PRODUCT,
    external_run: str = "airflow migrate_to_db run_1",
) -> Result:
    """All from one to another; the last one's result."""
    result: Result = {}
    for name in STEPS[STEPS.index(first) : STEPS.index(last) + 1]:
        result = step(database, name, words, external_run)
    return result


def rows(database: Database, what: str = "*", where: str = "true") -> list[tuple[Any, ...]]:
    return database.rows(f"select {what} from message where {where} order by message_id")


def left_over(database: Database) -> list[str]:
    """Tables of ours beside the journal's own, wherever they are."""
    found = database.rows(
        "select relname::text from pg_class where relkind = 'r'"
        " and (relname like 'rewrite\\_%' or relname like 'windlass\\_%')"
    )
    return [row[0] for row in found]


def write_spec(folder: Path, words: str) -> Path:
    file = folder / "spec.yaml"
    given = yaml.safe_load(words) or {}
    file.write_text(yaml.safe_dump({**WAITING, **given}))
    return file
