"""What DuckDB and SQLite share as targets of loads: files whose tables are changed in one
transaction."""
