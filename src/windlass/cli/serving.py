"""The command `serve`: the page on which runs are watched and decided upon."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from windlass.cli import options
from windlass.cli.exits import Exit
from windlass.cli.faults import AllFaults
from windlass.cli.spelling import as_option
from windlass.cli.voice import Voice
from windlass.errors import BadSpec

if TYPE_CHECKING:
    from windlass.web.access import Policy
    from windlass.web.watched import Watched

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(cls=AllFaults)
@click.option(
    "-f",
    "--file",
    "files",
    metavar="SPEC",
    type=_FILE,
    multiple=True,
    help="Spec file whose target is shown; its databases and options are those of the buttons."
    " Several are possible.",
)
@click.option(
    "--target",
    "targets",
    metavar="URL",
    multiple=True,
    help="Target whose runs are shown; several are possible. Default: $WINDLASS_TARGET.",
)
@click.option(
    "--source",
    metavar="URL",
    help="Source of the only target, for buttons that need both. Default: $WINDLASS_SOURCE.",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where it listens."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8642,
    show_default=True,
    help="Port; 0 takes a free one.",
)
@click.option(
    "--allow-actions",
    is_flag=True,
    help="Show buttons that verify, repair, cut over, and roll back. Each asks first. Needs a token"
    " or a proxy; without either, a token is made up and printed.",
)
@click.option(
    "--token-file",
    metavar="FILE",
    type=_FILE,
    help="Who may look: lines NAME TOKEN. $WINDLASS_WEB_TOKEN has a single token.",
)
@click.option(
    "--user-header",
    metavar="NAME",
    help="Header in which a proxy that has checked the user names them.",
)
@click.option(
    "--trusted-proxy",
    "proxies",
    metavar="ADDRESS",
    multiple=True,
    help="Address of such a proxy. Default: this machine.",
)
@click.option(
    "--allowed-host",
    "hosts",
    metavar="NAME",
    multiple=True,
    help="Name by which browsers reach the page, besides --host and localhost.",
)
@click.option("--tls-cert", metavar="FILE", type=_FILE, help="Certificate, to serve HTTPS.")
@click.option("--tls-key", metavar="FILE", type=_FILE, help="Its private key.")
@options.takes(options.QUIET)
@click.pass_obj
def serve(voice: Voice, /, **words: Any) -> int:
    """Show the runs of one or several targets on a page, live.

    Listens on this machine only, unless --host says otherwise. It only shows, unless
    --allow-actions is given. Ctrl-C ends it.
    """
    from windlass.web import serving
    from windlass.web.access import check_policy

    place = serving.Place(words["host"], words["port"], words["tls_cert"], words["tls_key"])
    faults: list[BadSpec] = []
    with _noting(faults):
        serving.check_place(place)
    targets = _targets(voice, words["files"], words["targets"], words["source"], faults)
    policy, made = _policy(voice, words, faults)
    with _noting(faults):
        check_policy(policy, words["host"], names=words["hosts"])
    if faults:
        hints = dict.fromkeys(one.hint for one in faults if one.hint)
        raise BadSpec([each for one in faults for each in one.faults], hint="; ".join(hints))

    def say(url: str) -> None:
        voice.aside(f"Runs of {', '.join(one.title for one in targets)}: {url}")
        if made:
            click.echo(f"Token, for this time only: {made}", err=True)
        voice.aside("Ctrl-C ends it")

    serving.serve(targets, policy, place, say, as_option, voice.aside)
    return Exit.DONE


@contextmanager
def _noting(faults: list[BadSpec], where: str = "") -> Iterator[None]:
    """Continue after a fault, so that all of them are shown. `where` names what has it, if its
    message does not."""
    try:
        yield
    except BadSpec as error:
        named = (one if where in one else f"{where}: {one}" for one in error.faults)
        faults.append(BadSpec(list(named), hint=error.hint))


def _targets(
    voice: Voice,
    files: Sequence[Path],
    urls: Sequence[str],
    source: str | None,
    faults: list[BadSpec],
) -> tuple[Watched, ...]:
    """Adds to `faults`: nothing is to be shown, one of them is no target whose runs can be read, or
    a source is given for several."""
    from windlass.web.watched import title_of, watch_spec, watch_target, with_keys

    found: list[Watched] = []
    for one in files:
        with _noting(faults, str(one)):
            found.append(watch_spec(options.read_kept_spec(voice, one), one))
    given = list(urls)
    if not (given or files) and (default := os.environ.get("WINDLASS_TARGET")):
        given = [default]
    if not (given or files):
        message = "no target: give --target, --file or WINDLASS_TARGET"
        hint = "for example --target postgresql://user@host:5432/database"
        faults.append(BadSpec([message], hint=hint))
    source = source or (os.environ.get("WINDLASS_SOURCE") if len(given) == 1 else "")
    voice.hide_passwords_of(*given, source or "")
    if source and len(given) != 1:
        hint = "give several pairs as spec files, with --file"
        faults.append(BadSpec(["--source is for one --target"], hint=hint))
    for number, url in enumerate(given, 1):
        with _noting(faults, f"--target {number}" if len(given) > 1 else ""):
            _check_target(url)
            found.append(watch_target(url, source or ""))
    with _noting(faults):
        if source and len(given) == 1:
            title_of(source, "source")
    return with_keys(found)


def _check_target(url: str) -> None:
    """Raises:
    BadSpec: no engine can have runs at this address.
    """
    from windlass.recorded import open_past

    if not url.strip():
        raise BadSpec(["target: is empty"])
    open_past(url, "windlass status")  # connects to nothing


def _policy(voice: Voice, words: Mapping[str, Any], faults: list[BadSpec]) -> tuple[Policy, str]:
    """Who may look and act; and the token that was made up, if one was."""
    import secrets

    from windlass.web.access import (
        LOCAL_NAMES,
        SHORTEST_TOKEN,
        WEB_TOKEN,
        Policy,
        as_sent,
        read_tokens,
    )

    tokens: dict[str, str] = {}
    with _noting(faults):
        tokens = read_tokens(words["token_file"]) if words["token_file"] else {}
    if words["token_file"] and not tokens:  # it ends with that; nothing else is wrong because of it
        tokens = {secrets.token_urlsafe(): "nobody"}
    if token := os.environ.get(WEB_TOKEN, "").strip():
        if len(token) < SHORTEST_TOKEN:
            faults.append(BadSpec([f"{WEB_TOKEN}: has fewer than {SHORTEST_TOKEN} characters"]))
        tokens[token] = "token"
    made, header = "", words["user_header"]
    if header == "":  # perhaps of a variable that is not set: anybody could look
        faults.append(BadSpec(["--user-header: is empty"]))
    has_nobody = header is None and not words["token_file"]
    if has_nobody and words["allow_actions"] and not tokens:
        made = secrets.token_urlsafe(24)
        tokens = {made: os.environ.get("USER", "") or "token"}
    voice.hide(*tokens)
    policy = Policy(
        tokens,
        header or "",
        tuple(map(as_sent, words["proxies"])) or LOCAL_NAMES,
        tuple(dict.fromkeys(map(as_sent, (*words["hosts"], words["host"], *LOCAL_NAMES)))),
        words["allow_actions"],
    )
    return policy, made
