"""The state of a local cloud: its root folder, its records, its faults."""
