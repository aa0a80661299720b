"""A `Plan` as the document that a reviewer signs: text, Markdown, or JSON. Pure functions.

All three have the same content, the short and important parts first: what is migrated, what it
takes, what prevents it, what will be missing. Then come relations, columns and DDL.
"""
