"""The page of `windlass serve`: runs of one or several targets, watched and decided upon."""
