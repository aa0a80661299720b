"""A result or a plan as one HTML page that needs nothing else. Pure functions of the published
JSON, so a page can be made later from what was saved."""
