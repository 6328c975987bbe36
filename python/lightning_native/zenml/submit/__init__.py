"""Runs that the orchestrator brings to Lightning, each kind in a module."""
