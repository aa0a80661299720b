"""A `Plan` as the document that a reviewer signs: text, Markdown, or JSON. Pure functions.

All three say the same, the short and grave first: what is migrated, what it takes, what refuses it,
what will be missing; then the long parts: relations, columns, DDL.
"""
