"""The conformance suite: named checks of what this package assumes about the platform, against any cloud.

An experiment does one thing on a cloud, such as a job from its submission to its deletion, and records what it sees;
checks compare that with the assumptions. `docs/platform.md` has a row for each check.
"""
