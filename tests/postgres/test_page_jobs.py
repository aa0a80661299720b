"""Commands that the page of `windlass serve` runs: each is recorded, and has an end."""

from __future__ import annotations

import asyncio

import pytest

from command import DONE, migrate
from locking import holding
from servers import PASSWORD, Pair
from windlass import api
from windlass.errors import Refused, WindlassError
from windlass.web.access import Person
from windlass.web.actions import action_named
from windlass.web.jobs import Jobs
from windlass.web.reading import why
from windlass.web.watched import watch_target


def test_a_command_that_cannot_be_started_is_over_and_recorded(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others would wait for its end otherwise."""
    monkeypatch.setattr("windlass.web.jobs.sys.executable", "/nonexistent/python")
    assert ended(pair, "status") == "exit code 127"


def test_a_command_can_be_interrupted_while_it_is_being_started(pair: Pair) -> None:
    result = ended(pair, "status", "--watch", interrupted=True)
    assert result.endswith(", interrupted by bob")


def test_an_end_that_cannot_be_recorded_keeps_nobody_waiting(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windlass.web.jobs.RECORD_SECONDS", 0.5)
    watched, verify = watch_target(pair.target.url), action_named("verify")
    assert verify is not None

    async def act() -> str:
        jobs = Jobs()
        job = await jobs.start(watched, "x", verify, ("--version",), Person("anne"), "127.0.0.1")
        with holding(pair.target, "lock table windlass.act"):
            async with asyncio.timeout(60):
                while not job.is_over:
                    await job.changed.wait()
        return job.fault

    assert "could not be recorded: no answer in time" in asyncio.run(act())


def test_of_two_people_who_act_at_once_one_is_refused(pair: Pair) -> None:
    watched, verify = watch_target(pair.target.url), action_named("verify")
    assert verify is not None

    async def act() -> list[object]:
        jobs = Jobs()
        people = [Person("anne"), Person("bob")]
        found = await asyncio.gather(
            *(jobs.start(watched, "x", verify, ("status",), one, "127.0.0.1") for one in people),
            return_exceptions=True,
        )
        await jobs.stop()
        return list(found)

    (refused,) = [one for one in asyncio.run(act()) if isinstance(one, BaseException)]
    assert isinstance(refused, Refused)
    assert "windlass status is running" in why(refused)[0]
    assert pair.target.value("select count(*) from windlass.act") == 1


def test_what_cannot_be_recorded_is_not_done(pair: Pair) -> None:
    """By a user who may read the journal and not add to it."""
    pair.source.run("create table t as select 1 as a")
    run = migrate(pair).expect(DONE).result["run"]
    pair.target.server.admin.run(
        "do $$ begin create role page_reader login; exception when duplicate_object then null;"
        " end $$",
        f"alter role page_reader password '{PASSWORD}'",
    )
    pair.target.run(
        "grant usage on schema windlass to page_reader",
        "grant select on all tables in schema windlass to page_reader",
    )
    with pytest.raises(WindlassError) as refused:
        ended(pair, "status", user="page_reader")
    assert "permission denied" in why(refused.value)[0]
    assert pair.target.value("select count(*) from windlass.act") == 0
    # such as a role that was given its rights before there was this table
    pair.target.run("revoke select on windlass.act from page_reader")
    assert api.read_run(pair.target.url_for("page_reader"), run).acts == ()


def ended(pair: Pair, *words: str, interrupted: bool = False, user: str = "") -> str:
    """Run a command as the page does; how it ended, by the journal."""
    watched = watch_target(pair.target.url_for(user) if user else pair.target.url)
    verify = action_named("verify")
    assert verify is not None

    async def act() -> None:
        jobs = Jobs()
        async with asyncio.timeout(60):
            job = await jobs.start(watched, "x", verify, words, Person("anne"), "127.0.0.1")
            if interrupted:
                assert job.process is None
                jobs.interrupt(job, "bob")
            while not job.is_over:
                await job.changed.wait()
        assert not jobs.running

    asyncio.run(act())
    return str(pair.target.value("select result from windlass.act"))
