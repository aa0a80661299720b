"""The page of `windlass serve`: shows the runs of one or several targets, and acts on them."""
