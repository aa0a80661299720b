"""Iceberg tables as a warehouse, through pyiceberg and a catalog in a SQL database."""
