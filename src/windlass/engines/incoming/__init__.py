"""What loads into the tables of all engines share: which records are refused and why, what would
prevent a load, and which rules its rows break. Knows no engine."""
