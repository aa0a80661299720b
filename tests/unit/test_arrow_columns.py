"""Arrow arrays of Python's values are those that pyarrow makes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.engines.columns import array_of

INTEGERS = st.integers(-(1 << 63), (1 << 63) - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.none() | values, max_size=40)


@given(
    st.one_of(
        st.tuples(lists(INTEGERS), st.just(pa.int64())),
        st.tuples(lists(st.booleans()), st.just(pa.int64())),
        st.tuples(lists(st.floats()), st.just(pa.float64())),
        st.tuples(lists(TEXTS), st.just(pa.large_string())),
        st.tuples(lists(st.binary()), st.just(pa.large_binary())),
    )
)
def test_they_have_the_same_values(made: tuple[Sequence[Any], pa.DataType]) -> None:
    values, type_ = made
    found = array_of(tuple(values), type_)
    found.validate(full=True)
    expected = [int(one) if isinstance(one, bool) else one for one in values]
    assert found.type == type_
    assert (found.null_count, repr(found.to_pylist())) == (values.count(None), repr(expected))


def test_a_number_that_is_too_large_is_refused() -> None:
    with pytest.raises(OverflowError):
        array_of([1 << 63], pa.int64())


def test_pandas_is_not_imported() -> None:
    program = (
        "import sys, pyarrow as pa; from windlass.engines.columns import array_of;"
        " array_of(['a', None], pa.large_string()); array_of([1, None], pa.int64());"
        " assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
