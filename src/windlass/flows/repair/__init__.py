"""The flow `repair`: the target is made equal to the source again, after a comparison."""
