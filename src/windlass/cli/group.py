"""The group of commands: lists them in order of use, and explains words that other tools would
accept."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any

import click

from windlass.cli.faults import AllFaults


class InOrder(click.Group):
    """Lists its commands in the order of use, and knows what other tools call their options.

    Modules add them, once one is asked for: `commands_in` adds all, and `alone` names those that a
    smaller module adds.
    """

    command_class = AllFaults

    def __init__(
        self, *given: Any, commands_in: str, alone: Mapping[str, str], **more: Any
    ) -> None:
        super().__init__(*given, **more)
        self._commands_in, self._alone = commands_in, alone

    def list_commands(self, ctx: click.Context) -> list[str]:
        importlib.import_module(self._commands_in)
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        importlib.import_module(self._alone.get(cmd_name, self._commands_in))
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            offered = _offered(error)
            hint = _hint_for(error.option_name, offered) or _of_files(error, offered)
            if hint:
                raise _with(error, hint) from None
            raise
        except click.UsageError as error:
            if hint := _hint(error):
                raise _with(error, hint) from None
            raise


def _with(error: click.UsageError, hint: str) -> click.UsageError:
    return click.UsageError(f"{error.message.rstrip('.')}. {hint}", error.ctx)


def _offered(error: click.UsageError) -> set[str]:
    """The options of the command."""
    params = error.ctx.command.params if error.ctx else []
    return {word for param in params for word in param.opts}


def _hint_for(option: str, offered: set[str]) -> str:
    """The name here for another tool's option."""
    if option in _EXPLAINED:
        needed, text = _EXPLAINED[option]
        return text if needed in offered or not needed else ""
    found = next((one for one in _OTHERS_OPTIONS.get(option, ()) if one in offered), "")
    return f"Did you mean {found}?" if found else ""


def _of_files(error: click.NoSuchOption, offered: set[str]) -> str:
    """A hint for a key that only a spec file can have, even if it is misspelt."""
    import difflib  # only a mistake needs these

    from windlass.flows.registry import entries_of, spec_flows

    command = error.ctx.info_name if error.ctx else ""
    asked = _SAME_SPEC.get(command or "", command)
    keys = {
        entry.word: flow.name
        for flow in spec_flows()
        if asked in (flow.name, "plan")
        for entry in entries_of(flow).values()
        if entry.option is None
    }
    options = {one.removeprefix("--") for one in offered if one.startswith("--")}
    typed = error.option_name.lstrip("-").replace("_", "-")
    near = difflib.get_close_matches(typed, [*keys, *options], 1)
    if not near or near[0] in options:
        return ""
    example = f"`windlass spec {keys[near[0]]}` shows how"
    return f"{near[0]} can only be given in a spec file, with --file: {example}."


def _hint(error: click.UsageError) -> str:
    """A hint which options to use, for arguments that were given without one."""
    offered = _offered(error)
    sides = [one for one in ("--source", "--to", "--warehouse", "--target") if one in offered]
    if sides and _URL.search(error.message):
        return f"Give databases with {' and '.join(sides)}."
    if "--include" in offered and (found := _EXTRA.search(error.message)):
        return f"Give tables with {' '.join(f'--include {one}' for one in found[1].split())}."
    return ""


_SCHEMES = "postgres(ql)?|sqlite|duckdb|bigquery|snowflake|iceberg|file|s3|gs|az"
_URL = re.compile(rf"\b({_SCHEMES})://", re.IGNORECASE)
_EXTRA = re.compile(r"unexpected extra arguments? \((.*)\)")
_SAME_SPEC = {"verify": "migrate"}  # commands without a flow of that name
_EXPLAINED = {  # each with an option that the command must have; empty: any command
    "--dry-run": ("", "`windlass plan` shows what would happen, and writes nothing."),
    "--force": ("--existing", "For tables that exist see --existing, for losses see --accept."),
}
_OTHERS_OPTIONS = {
    "--from": ["--source"],
    "--to": ["--target"],
    "--target": ["--warehouse"],
    "--dest": ["--warehouse", "--target"],
    "--table": ["--include"],
    "--tables": ["--include"],
    "--relations": ["--include"],
    "--queries": ["--query"],
    "--parallel": ["--jobs"],
}
