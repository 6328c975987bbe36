"""What the driver says to the user."""


class DriverError(Exception):
    """What the user can do something about: shown without a traceback."""


def say(text: str) -> None:
    """Print a line of our own into the job's log."""
    print(f"lightning-native: {text}", flush=True)
