"""The smallest flow: counts the lines of a file. Tests add it by a line of the registry."""
