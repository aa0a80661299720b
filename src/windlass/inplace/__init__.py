"""Change rows in place: check, stage, call a function, back up, write, stamp, undo."""
