"""Making a flow happen on this machine."""
