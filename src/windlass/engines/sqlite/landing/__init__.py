"""SQLite files, as a target of loads."""
