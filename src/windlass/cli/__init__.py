"""The `windlass` command: words in, words out. What happens is decided by the flows."""
