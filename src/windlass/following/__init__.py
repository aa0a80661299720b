"""Follow a database: what its stream brings is applied to another one, exactly once."""
