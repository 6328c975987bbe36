"""A studio from the moment its machine runs: when it is ready, and the actions that it runs."""
