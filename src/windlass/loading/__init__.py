"""Decides how inputs go into tables in use, and whether they can. Pure: reads no database."""
