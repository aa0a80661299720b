"""What is measured: each module's functions take a setup and return a measurement."""
