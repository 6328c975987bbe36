"""The outputs of steps: their way from the machines to the run's folder, and from there to a later attempt."""
