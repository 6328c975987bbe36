"""The ways a step can run on Lightning."""
