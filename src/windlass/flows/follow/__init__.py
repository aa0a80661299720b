"""The flow `follow`: a migration that then applies what is written to the source."""
