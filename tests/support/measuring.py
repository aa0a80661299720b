"""Loaded where runs of the command are forked: each measures the servers' speed with less work.

With the number of rows that users get, that would be half of what planning costs a server, and
hundreds of tests plan.
"""

from windlass.engines.postgres import speed

speed.ROWS = 600
