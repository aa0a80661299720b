"""Any database with an ODBC driver as the source of a migration into another engine."""
