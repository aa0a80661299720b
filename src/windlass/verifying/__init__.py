"""Proof: are the two sides equal, and if not, where."""
