"""What a person did with a run from the page of `windlass serve`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Act:
    """A command that a person had run. `result` is empty while it lasts, or if the page's process
    died during it."""

    run: str
    what: str  # such as "roll back"
    command: str  # without passwords
    who: str  # the name of the token, or the user that a proxy named
    address: str  # of the client, as the page sees it
    at: str = ""  # UTC
    ended_at: str = ""  # UTC
    result: str = ""  # how the command ended: "exit code 0"
