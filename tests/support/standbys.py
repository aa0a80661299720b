"""Standbys that are made from a primary's files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from servers import FAST, Server


def standby_of(primary: Server, settings: Mapping[str, str] = FAST) -> Server:
    """A standby with the primary's files. It follows nobody, unless `settings` name a primary."""
    standby = Server(primary.version, settings)
    primary.stop()
    shutil.rmtree(standby.data)
    shutil.copytree(primary.data, standby.data)
    (standby.data / "standby.signal").touch()
    owner = primary.data.stat()
    for path in (standby.data, *standby.data.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    primary.start()
    return standby.start()
