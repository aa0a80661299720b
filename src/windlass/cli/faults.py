"""A command that reports every fault of its options at once, those of its spec among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource, iter_params_for_processing

from windlass.errors import BadSpec

# commands whose options are the keys of a `Spec`, which needs both sides
_OF_SPECS = {"plan", "migrate", "verify"}


class AllFaults(click.Command):
    """Click itself stops at the first option that it cannot read."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.BadParameter as first:
            read, faults = self._read(ctx, given)
            if self.name in _OF_SPECS:
                faults += _faults_of_spec(read)
            if len(faults) < 2:
                raise
            hint = f"{ctx.command_path} --help lists the options"
            raise BadSpec(faults, hint=hint) from first

    def _read(self, ctx: click.Context, given: list[str]) -> tuple[dict[str, Any], list[str]]:
        """The options that were given and can be read, and what is wrong with the others."""
        options, rest, order = self.make_parser(ctx).parse_args(given)
        within = click.Context(self, ctx.parent, ctx.info_name)
        faults = []
        for param in iter_params_for_processing(order, self.get_params(ctx)):
            try:
                param.handle_parse_result(within, options, rest)
            except click.BadParameter as fault:
                name = max(param.opts, key=len)
                faults.append(f"{name}: {fault.message.rstrip('.') or 'is missing'}")
        read = {
            name: value
            for name, value in within.params.items()
            if within.get_parameter_source(name) is ParameterSource.COMMANDLINE
        }
        return read, faults


def _faults_of_spec(read: Mapping[str, Any]) -> Sequence[str]:
    from windlass.flows.specs import load  # only a mistake needs these here
    from windlass.spec.fields.migrate import MIGRATE

    keys = {entry.key for entry in MIGRATE.values()}
    words = {name: value for name, value in read.items() if name in keys}
    try:
        load("migrate", words, read.get("file"))
    except BadSpec as error:
        return error.faults
    return ()
