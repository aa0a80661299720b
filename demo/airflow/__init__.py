"""A real Airflow on this machine, in one folder: for `make airflow`, tests and benchmarks."""
