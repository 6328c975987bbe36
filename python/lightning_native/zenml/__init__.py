"""The ZenML flavor. Import its parts from their own modules: ZenML registers a flavor by its module."""
