"""The command `serve`: the page on which runs are watched and decided upon."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
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
    default="",
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
    serving.check_place(place)
    targets = _targets(voice, words["files"], words["targets"], words["source"])
    policy, made = _policy(voice, words)
    check_policy(policy, words["host"], names=words["hosts"])

    def say(url: str) -> None:
        voice.aside(f"Runs of {', '.join(one.title for one in targets)}: {url}")
        if made:
            click.echo(f"Token, for this time only: {made}", err=True)
        voice.aside("Ctrl-C ends it")

    serving.serve(targets, policy, place, say, as_option, voice.aside)
    return Exit.DONE


def _targets(
    voice: Voice, files: Sequence[Path], urls: Sequence[str], source: str | None
) -> tuple[Watched, ...]:
    """Raises:
    BadSpec: nothing is to be shown, or a source is given for several targets.
    """
    from windlass.web.watched import watch_spec, watch_target, with_keys

    found = [watch_spec(options.read_kept_spec(voice, one), one) for one in files]
    given = list(urls)
    if not (given or files) and (default := os.environ.get("WINDLASS_TARGET")):
        given = [default]
    if not (given or files):
        raise BadSpec(
            ["no target: give --target, --file or WINDLASS_TARGET"],
            hint="for example --target postgresql://user@host:5432/database",
        )
    source = source or (os.environ.get("WINDLASS_SOURCE") if len(given) == 1 else "")
    if source and len(given) != 1:
        raise BadSpec(
            ["--source is for one --target"], hint="give several pairs as spec files, with --file"
        )
    voice.hide_passwords_of(*given, source or "")
    found += [watch_target(one, source or "") for one in given]
    return with_keys(found)


def _policy(voice: Voice, words: Mapping[str, Any]) -> tuple[Policy, str]:
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

    tokens = read_tokens(words["token_file"]) if words["token_file"] else {}
    if token := os.environ.get(WEB_TOKEN, "").strip():
        if len(token) < SHORTEST_TOKEN:
            raise BadSpec([f"{WEB_TOKEN}: has fewer than {SHORTEST_TOKEN} characters"])
        tokens[token] = "token"
    made = ""
    if words["allow_actions"] and not (tokens or words["user_header"]):
        made = secrets.token_urlsafe(24)
        tokens = {made: os.environ.get("USER", "") or "token"}
    voice.hide(*tokens)
    policy = Policy(
        tokens,
        words["user_header"],
        tuple(map(as_sent, words["proxies"])) or LOCAL_NAMES,
        tuple(dict.fromkeys(map(as_sent, (*words["hosts"], words["host"], *LOCAL_NAMES)))),
        words["allow_actions"],
    )
    return policy, made
