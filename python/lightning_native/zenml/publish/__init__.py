"""The publications: steps and runs as ZenML shows them, with their state, their end and their metadata."""
