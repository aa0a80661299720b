"""Which table `migrate_to_db` rewrites. The database is in the Variable DB_CONN_STRING."""

DB_SCHEMA = "public"
DB_TABLE = "messages"
BACKUP_SCHEMA = "backup"
