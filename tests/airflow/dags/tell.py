import sys

from airflow.sdk import Connection, dag, task


@dag(schedule=None)
def tell() -> None:
    @task
    def told() -> list[object]:
        ship = Connection.get("ship")
        sys.stdout.write(f"the password is {ship.password}\n")
        parts = [ship.host, ship.port, ship.login, ship.schema, ship.extra_dejson]
        return [*parts, len(ship.password)]

    @task
    def loaded() -> list[bool]:
        return [name in sys.modules for name in ("windlass.flows.migrate.steps", "psycopg")]

    @task
    def doubled(number: int) -> int:
        return number * 2

    [told(), loaded()] >> doubled.expand(number=[1, 2])


tell()
