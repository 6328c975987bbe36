"""Workflow files: plans without ZenML."""
