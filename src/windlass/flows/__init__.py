"""What happens in which order: one folder per flow."""
