"""Moving one chunk from a source to a target."""
