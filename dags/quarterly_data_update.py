"""Loads files and URLs into the tables of a Django project every quarter; see docs/airflow.md.

The Variable DATA_UPDATE_URLS lists them; the connection postgres_db is the database.
"""

from config import DJANGO_FOLDER, DJANGO_PYTHON, DJANGO_SETTINGS, UPDATE_EMAIL

from windlass.airflow import Ending, Notices, Tuning
from windlass.airflow.presets.data_update import quarterly_data_update
from windlass.airflow.project import Project

dag = quarterly_data_update(
    Project(DJANGO_FOLDER, DJANGO_SETTINGS, DJANGO_PYTHON),
    doc_md=__doc__,
    tuning=Tuning.configured(),
    ending=Ending.configured(
        notices=Notices(UPDATE_EMAIL, on_success=False) if UPDATE_EMAIL else None
    ),
    is_paused_upon_creation=True,
)
