"""Files that rows are loaded from: CSV, JSON, Parquet and Excel, plain or compressed."""
