"""The command reference, docs/commands.md, made from the program itself::

python -m windlass.cli.reference > docs/commands.md
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from windlass.cli.commands import windlass
from windlass.cli.example import example
from windlass.flows.registry import spec_flows

_HEAD = """\
# Commands

<!-- Made by `python -m windlass.cli.reference`; a test compares the two. -->

Shell completion comes with the program, for bash, zsh and fish:

```sh
eval "$(_WINDLASS_COMPLETE=bash_source windlass)"   # in ~/.bashrc; zsh_source, fish_source
```

Results go to stdout; progress and errors to stderr: bars on a terminal, `key=value` lines
elsewhere, nothing under `-q`. With `--json` stdout holds one JSON object, also for an error.

| exit code | meaning |
| --: | --- |
| 0 | done, and verified |
| 1 | differences found, losses that were not accepted, or tables of an export that did not fit |
| 2 | bad options or spec; nothing was tried |
| 3 | refused; nothing was written; every problem is listed |
| 4 | stopped part-way, or a server cannot be reached; the last lines say what to do |
| 5 | a cutover was taken back in time: applications write where they did before |
| 130 | interrupted (Ctrl-C); run it again to resume |
"""


def reference() -> str:
    """Markdown: every command, every option, and the spec file."""
    parts = [_HEAD]
    context = click.Context(windlass, info_name="windlass", help_option_names=["-h", "--help"])
    for name in windlass.list_commands(context):
        command = windlass.commands[name]
        parts.append("\n".join(_command(command, click.Context(command, context, name))))
    parts.append("## Spec files\n")
    for flow in spec_flows():
        shown = example(flow.name)
        parts.append(f"What `windlass spec {flow.name}` prints:\n\n```yaml\n{shown}```\n")
    return "\n".join(parts)


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield from (f"## windlass {command.name}", "", f"    {usage}", "")
    yield from (inspect.cleandoc(command.help or ""), "")
    yield from ("| option | |", "| --- | --- |")
    for param in command.get_params(context):
        if record := param.get_help_record(context):
            names, text = record
            yield f"| `{_cell(names)}` | {_cell(text)} |"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    click.echo(reference(), nl=False)
