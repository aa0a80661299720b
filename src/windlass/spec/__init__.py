"""The user's request, validated and frozen."""
