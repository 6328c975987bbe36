"""The record of a run on disk: the journal, the run's folder, and the place of its controller."""
