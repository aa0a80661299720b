"""Spec, catalogs and archive into a `Plan`. Pure functions: no database, no clock, no files."""
