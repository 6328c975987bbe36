"""Messages of the driver to the user."""


class DriverError(Exception):
    """An error that the user can remedy, shown without a traceback."""


def say(text: str) -> None:
    """Print a line of our own into the job's log."""
    print(f"lightning-native: {text}", flush=True)
