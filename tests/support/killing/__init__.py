"""Processes that die at named points of a run."""
