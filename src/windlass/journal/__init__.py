"""The truth of what is finished, kept in the target because only there it commits with the rows."""
