"""Change rows where they stand: check, stage, call a function, back up, write, stamp, undo."""
