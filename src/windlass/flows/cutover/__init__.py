"""The flow `cutover`: applications change over to the other database, or back."""
