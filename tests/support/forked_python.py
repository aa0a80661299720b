"""A `python` for scripts that call it many times: each call is a fork of one process that has
loaded Django and what a refresh needs, which takes longer than most calls.

    python forked_python.py SOCKET      # the server
    client(SOCKET)                      # the text of a program that has it run a command
"""

from __future__ import annotations

import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

LOADED = (
    "django.core.management", "django.db.models", "django.db.migrations.executor",
    "django.db.backends.sqlite3.base", "windlass", "pyarrow.csv",
)  # fmt: skip
PACKAGES = ("windlass.flows.load", "windlass.loading", "windlass.engines.embedded",
            "windlass.engines.sqlite", "windlass.engines.files")  # fmt: skip
_CLIENT = """\
#!{python} -IS
import json, os, socket, sys
words = {{"argv": [*{words!r}, *sys.argv[1:]], "cwd": os.getcwd(), "environment": dict(os.environ)}}
with socket.socket(socket.AF_UNIX) as server:
    server.connect({place!r})
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.sendall(json.dumps(words).encode() + b"\\n")
    sys.exit(int(server.makefile().read()))
"""


@contextmanager
def programs(folder: Path, named: dict[str, list[str]]) -> Iterator[Path]:
    """A folder of programs, each with its first arguments."""
    place = folder / "socket"
    server = subprocess.Popen([sys.executable, __file__, str(place)], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None and server.stdout.readline() == b"ready\n"
        bin_folder = folder / "programs"
        bin_folder.mkdir()
        for name, words in named.items():
            text = _CLIENT.format(python=sys.executable, words=words, place=str(place))
            (bin_folder / name).write_text(text)
            (bin_folder / name).chmod(0o755)
        yield bin_folder
    finally:
        server.kill()
        server.wait()


def serve(place: str) -> None:
    for name in LOADED:
        import_module(name)
    for package in PACKAGES:
        for found in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
            import_module(found.name)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            connection, _ = listener.accept()
            with connection:
                _, handles, _, _ = socket.recv_fds(connection, 1, 3)
                words = json.loads(connection.makefile().readline())
                child = os.fork()
                if not child:
                    _run(words, handles)
                for one in handles:
                    os.close(one)
                _, status = os.waitpid(child, 0)
                connection.sendall(b"%d" % (os.waitstatus_to_exitcode(status) & 0xFF))


def _run(words: dict[str, object], handles: list[int]) -> None:
    """As ``python FILE ...`` or ``python -m MODULE ...`` would, in a fork; does not return."""
    code = 1
    try:
        for number, one in enumerate(handles):
            os.dup2(one, number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        environment = words["environment"]
        assert isinstance(environment, dict)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(str(words["cwd"]))
        given = words["argv"]
        assert isinstance(given, list)
        sys.path[0] = str(words["cwd"])
        if given[0] == "-m":
            sys.argv = given[1:]
            runpy.run_module(given[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = given
            runpy.run_path(given[0], run_name="__main__")
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
