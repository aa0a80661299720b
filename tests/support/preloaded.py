"""Loaded where runs of the command are forked: all of windlass that a run can need, so that none of
them loads any of it again.

Left out are Airflow and Django, which no run of the command loads, and the clients of BigQuery and
Snowflake, which take longer to load than the few runs that need them are worth.
"""

import gc
import pkgutil
from importlib import import_module

import windlass

LEFT_OUT = (
    "windlass.__main__",
    "windlass.airflow",
    "windlass.django",
    "windlass.engines.bigquery",
    "windlass.engines.snowflake",
)

for found in pkgutil.walk_packages(windlass.__path__, "windlass."):
    if not found.name.startswith(LEFT_OUT):
        import_module(found.name)

gc.collect()
gc.freeze()  # else the first collection in each run copies every page of what is loaded
