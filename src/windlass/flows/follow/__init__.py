"""The flow `follow`: a migration that goes on with what is written to the source."""
