"""A way back: what `replace` sets aside, and how a rollback puts it back."""
