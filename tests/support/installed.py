"""Which pg_dumps are here, asked once where runs of the command are forked, and not by each."""

from windlass.engines.postgres.pg_dump import installed

installed()
