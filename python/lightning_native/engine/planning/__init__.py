"""The decisions about a plan that need no call to Lightning."""
