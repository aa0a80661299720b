"""BigQuery, as a warehouse."""
