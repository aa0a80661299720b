"""The PostgreSQL wing of planning: decides from catalogs and pg_dump's archive."""
