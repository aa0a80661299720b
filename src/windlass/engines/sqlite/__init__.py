"""SQLite files, as a source."""
