"""What all warehouses share: how a load is checked, and how statements are put together."""
