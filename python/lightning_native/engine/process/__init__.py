"""The process that drives a run: the process itself, the one that waits for it, and those that have credentials."""
