"""The page about Django does what it says: its commands run, in their order, in a new project."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from forked_python import programs
from paths import DOCS
from windlass.django.updates import read_setting

PAGE = (DOCS / "django.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
SETTING = re.findall(r"```python\n(WINDLASS = .*?)```", PAGE, re.DOTALL)


def test_the_commands_of_the_page_run(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    with programs(tmp_path, {"python": [], "django-admin": ["-m", "django"]}) as found:
        environment = {
            **os.environ,
            "PATH": f"{found}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        ran = subprocess.run(
            ["bash", "-ec", "\n".join(COMMANDS)],
            env=environment, cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said[-3000:]
    for part in (
        "2 updates: no problems",
        'CREATE TABLE "shop_customer"',
        "applied migration shop.0001_initial",
        "shop.Country: 2 inserted",
        "shop.Customer: nothing to do: unchanged",
        "shop.Customer: 1 inserted, 1 updated, 1 unchanged",
        "line 2, column email: does not pass email validator",
        "line 2, column country.code: no shop.Country has it",
        "exit code 3",
        "is rolled back",
        "nothing to do: every migration is applied",
        '"state": "done"',
    ):
        assert part in said, f"{part} is not in\n{said}"


def test_the_setting_of_the_page_is_right() -> None:
    (text,) = SETTING
    found: dict[str, object] = {}
    exec(text, found)
    assert read_setting(found["WINDLASS"]).faults == ()
