"""Code that only runs from a checkout and is not part of the wheel."""
