"""The sample that `windlass demo` migrates: a shop, and the two servers."""
