"""Flows as data, as schedulers that know nothing else rely on them."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import threading
import typing
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps import Work, by_item, run, sets, step, waits_for
from windlass.flows.export.outline import EXPORT
from windlass.flows.migrate.outline import MIGRATE
from windlass.flows.rewrite.outline import REWRITE
from windlass.flows.validate.outline import VALIDATE
from windlass.model.event import ignore
from windlass.model.flow import Flow, Item, Result, Step, resolve
from windlass.model.outcome import StartedBy
from windlass.run.local import run_flow

FLOWS = [MIGRATE, VALIDATE]
# what Windlass's forerunner did, in its order
ORIGINAL = [
    ("extract_source_schema",),
    ("create_target_schema",),
    ("create_target_tables",),
    ("copy_tables", "copy_chunks"),
    ("collect_all_results",),
    ("convert_tables_to_logged",),
    ("create_primary_keys",),
    ("generate_migration_summary",),
]

# what the earlier DAGs call the steps whose names are ours: Airflow's task ids
TASKS = {
    "copy_tables": "transfer_table_data",
    "copy_chunks": "transfer_partition",
    "copy_large_objects": "transfer_large_objects",
    "read_rows": "reading_from_database",
    "change_rows": "adding_row",
    "back_up_rows": "backup_table",
    "delete_rows": "delete_records_from_table",
    "write_rows": "writing_to_database",
    "stamp_rows": "updating_exported_at",
}

every_flow = pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)


def steps(wanted: Callable[[Step[Any]], object] = lambda _: True) -> pytest.MarkDecorator:
    """One case for each such step of every flow."""
    cases = [
        pytest.param(flow, step, id=f"{flow.name}-{step.name}")
        for flow in FLOWS
        for step in flow.steps
        if wanted(step)
    ]
    return pytest.mark.parametrize(("flow", "step"), cases)


def assert_shape(function: Callable[..., Any], *takes: Any, returns: Any) -> None:
    """It takes these by place, or their base classes, and returns that; a lambda tells no types."""
    hints = typing.get_type_hints(function)
    found = list(inspect.signature(function).parameters.values())
    assert [one.kind for one in found] == [inspect.Parameter.POSITIONAL_OR_KEYWORD] * len(takes)
    for one, taken in zip(found, takes, strict=True):
        assert is_accepted(taken, hints.get(one.name, object))
    assert hints.get("return", returns) == returns


def is_accepted(taken: Any, hint: Any) -> bool:
    """A step may ask for a part of its context alone, as a protocol."""
    if not getattr(hint, "_is_protocol", False):
        return issubclass(taken, hint)
    source = "".join(
        inspect.getsource(one) for one in taken.__mro__[:-1] if "Generic" not in str(one)
    )
    kept = set(re.findall(r"self\.(\w+)(?:: [^=\n]+)? = ", source))
    return {name for name in vars(hint) if name[0] != "_"} <= kept | set(dir(taken))


def test_a_context_that_lacks_what_a_step_asks_for_is_noticed() -> None:
    class Asked(typing.Protocol):
        def journal(self) -> None: ...

    class Context:
        def __init__(self) -> None:
            self.plan = None

    class Fuller(Context):
        def journal(self) -> None: ...

    assert not is_accepted(Context, Asked) and is_accepted(Fuller, Asked)


# places


@steps()
def test_a_step_is_a_function_of_its_flow_s_context_and_an_item(
    flow: Flow[Any], step: Step[Any]
) -> None:
    assert_shape(resolve(step.run), resolve(flow.context), Item, returns=Result)


@steps()
def test_a_step_s_function_has_the_step_s_name(flow: Flow[Any], step: Step[Any]) -> None:
    assert isinstance(step.run, str)
    assert step.run.partition(":")[2] == step.name


@steps(lambda step: step.items)
def test_items_are_listed_by_a_function_of_the_flow_s_context(
    flow: Flow[Any], step: Step[Any]
) -> None:
    assert step.items
    assert_shape(resolve(step.items), resolve(flow.context), returns=list[Item])


@every_flow
def test_a_context_is_made_of_a_spec_a_listener_and_who_calls(flow: Flow[Any]) -> None:
    inspect.signature(resolve(flow.context)).bind(
        resolve(flow.spec), ignore, started_by=StartedBy("airflow"), patient=True
    )


def test_flows_are_read_without_a_driver() -> None:
    read = "import sys, windlass.flows.registry as all; [all.flow_named(one) for one in all.FLOWS]"
    code = f"{read}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"psycopg", "asyncpg", "postgast", "pgdumplib", "pydantic", "yaml"}
    assert heavy & set(done.stdout.split()) == set()
    assert not any(name.startswith("windlass.engines") for name in done.stdout.split())


# order


@steps(lambda step: step.reads)
def test_what_a_step_reads_is_done_before_it(flow: Flow[Any], step: Step[Any]) -> None:
    assert set(step.reads) <= set(flow.before(step.name))


@steps(lambda step: step.reads)
def test_what_a_step_reads_a_scheduler_keeps(flow: Flow[Any], step: Step[Any]) -> None:
    """Of the items of a fan-out in one task it keeps only their number."""
    read = [flow.step(name) for name in step.reads]
    assert [one.name for one in read if one.items and not one.spread] == []


def test_the_steps_come_in_the_order_that_they_used_to() -> None:
    for earlier, later in pairwise(ORIGINAL):
        for name in later:
            assert set(earlier) <= set(MIGRATE.before(name)), name


def test_large_relations_are_copied_beside_the_others() -> None:
    beside = {"copy_tables", "copy_chunks", "copy_large_objects"}
    for name in beside:
        assert not beside & set(MIGRATE.before(name))


def test_nothing_is_written_before_the_snapshot_is_held() -> None:
    assert MIGRATE.before("hold_snapshot") == ("extract_source_schema",)
    written = [step.name for step in MIGRATE.steps[2:]]
    assert all("hold_snapshot" in MIGRATE.before(name) for name in written)


@every_flow
def test_one_step_lasts_and_it_is_one_task(flow: Flow[Any]) -> None:
    lasting = [step for step in flow.steps if step.lasting]
    assert lasting == [flow.lasting]
    assert lasting[0].items is None


@every_flow
def test_one_step_comes_last_and_after_all_others(flow: Flow[Any]) -> None:
    last = flow.steps[-1].name
    assert flow.before(last) == tuple(step.name for step in flow.steps[:-1])


# lists


@every_flow
def test_what_is_worth_a_task_each_has_a_list_with_its_own_name(flow: Flow[Any]) -> None:
    spread = [step for step in flow.steps if step.spread]
    lists = [step.listed_by for step in spread]
    assert all(step.items and step.listed_by for step in spread)
    assert len({*lists, *(step.name for step in flow.steps)}) == len(lists) + len(flow.steps)


@every_flow
def test_nothing_else_has_a_list(flow: Flow[Any]) -> None:
    assert [step.name for step in flow.steps if step.listed_by and not step.spread] == []


# parts of a flow


DIAMOND = Flow(
    "diamond",
    (step("top"), step("left", "top"), step("right", "top"), step("end", "left", "right")),
)


@pytest.mark.parametrize(
    ("name", "before"),
    [("top", ()), ("left", ("top",)), ("right", ("top",)), ("end", ("top", "left", "right"))],
)
def test_before_a_step_are_all_that_lead_to_it_once_and_in_their_order(
    name: str, before: tuple[str, ...]
) -> None:
    assert DIAMOND.before(name) == before


@st.composite
def flows(draw: st.DrawFn) -> Flow[Work]:
    found: list[Step[Work]] = []
    for number in range(draw(st.integers(1, 8))):
        names = [one.name for one in found]
        after = draw(st.sets(st.sampled_from(names), max_size=3)) if names else set()
        found.append(step(f"s{number}", *sorted(after)))
    return Flow("any", tuple(found))


@given(flows())
def test_before_is_after_and_what_is_before_that(flow: Flow[Work]) -> None:
    for one in flow.steps:
        expected = {*one.after, *(more for name in one.after for more in flow.before(name))}
        assert set(flow.before(one.name)) == expected


@given(flow=flows(), data=st.data())
def test_only_some_steps_are_those_in_their_order_with_what_is_between_them(
    flow: Flow[Work], data: st.DataObject
) -> None:
    names = data.draw(st.sets(st.sampled_from([one.name for one in flow.steps])))
    part = flow.only(*names)
    assert [one.name for one in part.steps] == [o.name for o in flow.steps if o.name in names]
    for one in part.steps:
        assert set(one.after) == set(flow.step(one.name).after) & names


def test_only_one_step_asks_for_nothing_that_others_have_found() -> None:
    part = VALIDATE.only("generate_validation_report")
    assert [(one.after, one.reads) for one in part.steps] == [((), ())]
    assert (part.context, part.spec) == (VALIDATE.context, VALIDATE.spec)


def test_only_one_step_runs_as_if_all_before_it_were_done() -> None:
    work = Work()
    run_flow(DIAMOND.only("end"), work, jobs=1, emit=ignore)
    assert work.started == [("end", "")]


def test_only_a_share_of_a_step_s_items_runs_if_they_are_given() -> None:
    work = Work()
    flow = Flow("test", (step("copy", items="a b c"), step("end", "copy")))
    run_flow(flow, work, jobs=1, emit=ignore, items={"copy": [Item("b")]})
    assert work.started == [("copy", "b"), ("end", "")]


def test_a_step_s_function_is_found_when_it_runs() -> None:
    work = Work()
    run_flow(Flow("test", (Step("a", f"{__name__}:named"),)), work, jobs=1, emit=ignore)
    assert work.results == {("a", ""): {"found": True}}


def named(_: Work, __: Item) -> Result:
    return {"found": True}


# a pipelined step without items: in `migrate`, the one that collects all results


def gathered() -> Work:
    """A flow in which `large` is not copied before `small` is indexed."""
    indexed = threading.Event()
    return run(
        step("copy", items="small large", do=by_item(large=waits_for(indexed))),
        step("gather", "copy", pipelined=True),
        step(
            "index", "gather", items="small large", pipelined=True, do=by_item(small=sets(indexed))
        ),
        jobs=2,
    )


def test_a_step_that_gathers_lets_groups_pass() -> None:
    assert gathered().is_before("index small", "gather ")


def test_a_step_that_gathers_waits_for_all_itself() -> None:
    work = gathered()
    assert work.is_before("copy small", "gather ")
    assert work.is_before("copy large", "gather ")


def test_no_group_passes_a_step_that_gathers_before_its_own_items_are_through() -> None:
    work = gathered()
    assert work.is_before("copy small", "index small")
    assert work.is_before("copy large", "index large")


def test_a_step_that_gathers_sees_every_result() -> None:
    seen: list[dict[tuple[str, str], Result]] = []

    def count(_: Work, item: Item) -> Result:
        return {"rows": len(item.id)}

    def look(work: Work, _: Item) -> None:
        seen.append(dict(work.results))

    run(
        step("copy", items="x yy", do=count),
        step("index", "copy", items="x yy", pipelined=True, do=count),
        step("gather", "index", pipelined=True, do=look),
    )
    assert {key: seen[0][key] for key in seen[0] if key[0] == "index"} == {
        ("index", "x"): {"rows": 1},
        ("index", "yy"): {"rows": 2},
    }


def test_what_follows_a_step_that_gathers_waits_for_it_unless_it_is_pipelined() -> None:
    work = run(
        step("copy", items="a b"),
        step("gather", "copy", pipelined=True),
        step("end", "gather"),
    )
    assert [name for name, _ in work.ended] == ["copy", "copy", "gather", "end"]


@pytest.mark.parametrize("flow", [*FLOWS, REWRITE, EXPORT], ids=lambda flow: flow.name)
def test_every_step_says_in_a_sentence_what_it_does(flow: Flow[Any]) -> None:
    for one in flow.steps:
        assert one.doc.endswith("."), one.name
        assert one.doc.count(". ") == 0, one.name


def test_a_scheduler_keeps_its_names_for_steps_of_ours() -> None:
    steps = [step for flow in (*FLOWS, REWRITE) for step in flow.steps]
    assert {step.name: step.task for step in steps if step.task != step.name} == TASKS
    assert all(step.task == step.name for step in steps if step.name not in TASKS)
