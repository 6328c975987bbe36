"""The behaviour of jobs: on one machine and on several, from their snapshot to their artifacts."""
