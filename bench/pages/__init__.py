"""What is shown: each module renders one page of `docs/` from results, and measures nothing."""
