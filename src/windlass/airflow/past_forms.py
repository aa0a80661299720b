"""Trigger forms of DAGs that act on past runs, and the database that they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param

from windlass.airflow import params as forms
from windlass.airflow.clouds import STORE, with_logins
from windlass.airflow.connections import addresses
from windlass.airflow.form import BOOLEAN, SELECTION, TEXT_OR_NONE, FormField
from windlass.airflow.operators import read_words
from windlass.flows.registry import flow_named
from windlass.model.repair import Change
from windlass.spec.choices import Verify
from windlass.spec.fields.entry import Section
from windlass.spec.fields.migrate import MIGRATE

Given = Mapping[str, Any]
Params = dict[str, Param]
_KINDS = [str(kind) for kind in Change]


def status_params(target_conn_id: str) -> Params:
    return {
        **_where_params(target_conn_id),
        "run": _text("run", "Show this run in detail. Empty: list all."),
    }


def rollback_params(target_conn_id: str) -> Params:
    return {
        **_where_params(target_conn_id),
        "run": Param(
            type="string",
            minLength=1,
            description="The run to undo: `run` in the summary of its DAG run.",
            section=Section.WHAT.value,
        ),
        "force": _switch("force", "Also discard changes that others have made since the run."),
        "skip_changed": _switch(
            "skip_changed",
            "For a rewrite: leave rows that others have changed since, and undo the rest.",
        ),
        "into": _text(
            "into",
            "For a rewrite: restore its rows in this new table, schema.table, and change nothing"
            " else.",
        ),
        "yes": _yes("rolls back"),
    }


def clean_params(target_conn_id: str) -> Params:
    about = "Remove what this run has left. Empty: what all ended runs have left."
    return {
        **_where_params(target_conn_id),
        "run": _text("run", about),
        "yes": _yes("removes"),
    }


def repair_params(source_conn_id: str, target_conn_id: str, *, asks_for_all: bool) -> Params:
    fields = [one for entry in MIGRATE.values() for one in SELECTION.get(entry.word, ())]
    return {
        **forms.connection_params(source_conn_id, target_conn_id),
        **({one.name: forms.param(one) for one in fields} if asks_for_all else {}),
        "kinds": Param(
            _KINDS,
            type="array",
            items={"type": "string", "enum": _KINDS},
            minItems=1,
            description="What may be done to rows of the target: update, insert, delete; one in"
            " each line.",
            section=Section.HOW.value,
        ),
        "yes": _yes("repairs"),
    }


def journal_of(params: Given, given: Given) -> Any:
    """The target whose journal has the runs, or the spec of the exports to `to`."""
    to, login = params.get("to"), params.get("store_conn_id")
    if to:
        words = {"to": to, **({STORE: login} if login else {})}
        return read_words(flow_named("export").spec, with_logins(words))
    return addresses({"target": params["target_conn_id"]})["target"]


def selected_sides(params: Given, given: Given) -> Any:
    """The spec of a comparison of what the form names."""
    return _compared(forms.selection(params))


def given_sides(params: Given, given: Given) -> Any:
    """The spec of a comparison, with the form's connections."""
    return _compared(forms.spec_words(params, given))


def _compared(words: dict[str, Any]) -> Any:
    """The spec of a comparison. Rows are always compared, as otherwise nothing could be
    repaired."""
    words |= addresses({side: words[side] for side in ("source", "target")})
    if words.get("verify") == Verify.NONE:
        words["verify"] = Verify.FULL
    return read_words(flow_named("repair").spec, words)


def _where_params(target_conn_id: str) -> Params:
    about = "The database whose journal has the runs."
    return {
        "target_conn_id": forms.connection(target_conn_id, about),
        "to": _text(
            "to",
            "For exports: the folder of their files, such as s3://bucket/folder.",
            Section.DATABASES,
        ),
        "store_conn_id": _text(
            "store_conn_id", "The connection with the credentials for it.", Section.DATABASES
        ),
    }


def _text(name: str, about: str, section: Section = Section.WHAT) -> Param:
    return forms.param(
        FormField(name=name, default=None, about=about, section=section, schema=TEXT_OR_NONE)
    )


def _switch(name: str, about: str) -> Param:
    return forms.param(
        FormField(name=name, default=False, about=about, section=Section.HOW, schema=BOOLEAN)
    )


def _yes(does: str) -> Param:
    about = (
        f"Off: shows what it would do, and {does} after a person has approved. On: does not ask."
    )
    return forms.param(
        FormField(name="yes", default=False, about=about, section=Section.PROOF, schema=BOOLEAN)
    )
