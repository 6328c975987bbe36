"""The endpoints of jobs: on one machine and on several, their logs and their tags."""
