"""MySQL and MariaDB as what a PostgreSQL database is migrated into: a database that exists."""
