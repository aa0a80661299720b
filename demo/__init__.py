"""What runs from a checkout only: it is not part of the wheel."""
