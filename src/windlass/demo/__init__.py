"""The sample that `windlass demo` moves: a shop, and the servers it moves between."""
