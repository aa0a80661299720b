"""Renders a result or a plan as one self-contained HTML page. Pure functions of the published JSON,
so a page can be made later from saved JSON."""
