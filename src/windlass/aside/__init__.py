"""Sets existing objects aside for `replace`, and puts them back in a rollback."""
