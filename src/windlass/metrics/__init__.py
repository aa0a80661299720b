"""How runs have ended, as metrics for Prometheus: what is measured, its text, and where it goes."""
