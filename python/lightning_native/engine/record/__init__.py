"""The record of a run on disk: the journal, the run folder, and the controller location."""
