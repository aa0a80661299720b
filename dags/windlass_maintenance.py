"""DAGs that act on past runs: list them, roll one back, remove what they left, repair a target."""

from windlass.airflow import Ending, clean_dag, repair_dag, rollback_dag, status_dag

ending = Ending.configured()
status = status_dag(ending=ending)
rollback = rollback_dag(ending=ending)
clean = clean_dag(ending=ending)
repair = repair_dag(ending=ending)
