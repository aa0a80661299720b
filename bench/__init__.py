"""Windlass against its peers: the same data, whole processes, local servers, medians."""
