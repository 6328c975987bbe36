"""The display of a run: what a person sees of it while it goes on, and at its end."""
