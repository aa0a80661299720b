"""DAGs with the ids, parameters and Variables of earlier systems."""
