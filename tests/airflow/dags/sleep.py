from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag


@dag(schedule=None)
def sleep() -> None:
    BashOperator(task_id="long", bash_command="sleep 600")


sleep()
