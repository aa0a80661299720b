"""Tables in use, in a PostgreSQL database, as targets of loads."""
