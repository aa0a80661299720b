"""Events into what people watch: bars on a terminal, lines in a log."""
