"""What `import windlass` offers."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

import windlass


@pytest.mark.parametrize("name", windlass.__all__)
def test_every_name_of_the_api_is_there(name: str) -> None:
    """And is no package, whose name on the module a function cannot keep."""
    assert find_spec(f"windlass.{name}") is None
    assert getattr(windlass, name) is not None


def test_everything_that_is_found_on_request_is_listed() -> None:
    listed = {name for names in windlass._FOUND_IN.values() for name in names}
    assert listed == {*windlass.__all__} - {"__version__"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="migrat"):
        _ = windlass.migrat


def test_importing_loads_no_driver() -> None:
    code = "import sys, windlass, windlass.errors; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"psycopg", "asyncpg", "pydantic"} & set(done.stdout.split())
