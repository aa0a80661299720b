"""MySQL and MariaDB, whose databases are migrated into another engine."""
