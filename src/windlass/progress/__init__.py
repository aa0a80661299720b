"""Shows events to people: bars on a terminal, lines in a log."""
