"""Decisions about a plan, made without Lightning."""
