"""The execution of a plan: which step runs when, and how often it is tried."""
