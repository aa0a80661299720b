"""MySQL and MariaDB as targets of migrations from PostgreSQL, into an existing database."""
