"""The `windlass` command: options in, results out. The flows decide what happens."""
