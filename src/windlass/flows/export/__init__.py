"""The flow `export`: relations into files of an object store, then into a warehouse."""
