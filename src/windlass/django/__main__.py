"""``python -m windlass.django``: one step of a refresh, for a scheduler in another environment.

It reads one line of JSON from stdin and answers with JSON on stdout; everything that the project
itself prints goes to stderr. It ends when stdin is closed, and so together with its caller.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, NoReturn

from windlass.errors import Interrupted

_ENDED = 130
_END_SECONDS = 30.0  # for a transaction to roll back


def main() -> None:
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    line = sys.stdin.readline()
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    try:
        from windlass.django.stepping import answered

        code, found = answered(line)
    except Interrupted as error:
        code, found = _ENDED, {"state": "interrupted", "message": str(error)}
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _leave(answers, code, found)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted("stopped on request")


def _end_with_the_caller() -> None:
    """End when the caller closes the pipe, as it does when it is killed: its next attempt must not
    find this process at work."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_END_SECONDS)
    os._exit(_ENDED)


def _leave(answers: Any, code: int, found: dict[str, Any]) -> NoReturn:
    """Exit without waiting for threads that are still busy: their transactions roll back."""
    answers.write(json.dumps(found))
    answers.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
