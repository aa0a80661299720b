"""What the DAGs of this folder work on, without secrets."""

# `migrate_to_db` rewrites this table. The database is in the Variable DB_CONN_STRING.
DB_SCHEMA = "public"
DB_TABLE = "messages"
BACKUP_SCHEMA = "backup"

# `quarterly_data_update` fills the tables of this Django project, in its own virtual environment.
DJANGO_FOLDER = "/srv/shop"  # has manage.py
DJANGO_SETTINGS = "shop.settings"
DJANGO_PYTHON = "/srv/shop/venv/bin/python"
UPDATE_EMAIL = ("admin@example.com",)  # through the connection smtp_default
