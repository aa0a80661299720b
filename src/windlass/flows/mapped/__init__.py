"""Columns of a mapped table that are made after the source was read: by functions of Python, or by
SQL of the target. Copying and comparing make them in the same way."""
