"""The DAGs that are measured on Airflow: a migration, and mapped tasks that do nothing."""

from airflow.sdk import dag, task

from windlass.airflow import Tuning, migration_dag

migration = migration_dag("bench_migration", tuning=Tuning(retries=0))


@dag(schedule=None, params={"items": 10})
def bench_mapped() -> None:
    @task
    def items(params: dict[str, int] | None = None) -> list[int]:
        assert params is not None  # Airflow passes those of the run
        return list(range(params["items"]))

    @task
    def nothing(item: int) -> None:
        return None

    @task(trigger_rule="all_done")
    def last() -> None:
        return None

    nothing.expand(item=items()) >> last()


bench_mapped()
