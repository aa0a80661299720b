"""What a plan says of what no stream carries: what a cutover copies again, and what is too much."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sample_plan import sample_plan
from windlass.model.plan import RelationPlan
from windlass.model.relation import Name
from windlass.model.report import LossClass
from windlass.planning.postgres.unstreamed import (
    Unstreamed,
    unstreamed_losses,
    unstreamed_notices,
)

GB = 1 << 30
VIEWS = (Name("shop", "sums"),)


def table(size_bytes: int) -> RelationPlan:
    item = sample_plan().relations[0]
    return replace(item, relation=replace(item.relation, size_bytes=size_bytes))


def test_what_fits_into_a_freeze_is_counted_and_timed_and_no_loss() -> None:
    found = Unstreamed((table(1 << 20),), 3, 1 << 20, VIEWS, 1 << 20)
    assert list(unstreamed_losses(found)) == []
    copied, refreshed = unstreamed_notices(found)
    assert "1 unlogged table (shop.orders; 1.00 MB) and 3 large objects (1.00 MB)" in copied
    assert copied.endswith("about 0.03 s")
    assert "1 materialized view (shop.sums); a cutover refreshes them" in refreshed


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (Unstreamed((table(GB),)), "shop.orders"),
        (Unstreamed((), 3, 2 * GB), "large objects"),
        (Unstreamed((), 1_000_000), "large objects"),
    ],
)
def test_what_does_not_fit_is_a_loss_with_the_freeze_that_it_takes(
    found: Unstreamed, name: str
) -> None:
    (loss,) = unstreamed_losses(found)
    assert (loss.object, loss.kind) == (name, LossClass.VALUES)
    assert "max-freeze" in loss.message and "no-recopy" in loss.message
    assert list(unstreamed_notices(found)) == []


def test_what_cannot_be_copied_again_is_a_loss_whatever_its_size() -> None:
    item = replace(table(0), enters=Name("shop", "all"), root=Name("shop", "all"))
    (loss,) = unstreamed_losses(Unstreamed((item,)))
    assert "spread over the partitions of shop.all" in loss.message
    assert list(unstreamed_notices(Unstreamed((item,)))) == []


def test_views_that_take_long_are_no_loss_but_named() -> None:
    found = Unstreamed(views=VIEWS, refreshed_bytes=GB)
    assert list(unstreamed_losses(found)) == []
    (notice,) = unstreamed_notices(found)
    assert notice.endswith("and names the others")
