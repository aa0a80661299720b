"""Object stores, through obstore."""
