"""Every word that a user can ask a flow with, once, as plain data."""
