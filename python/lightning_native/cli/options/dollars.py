"""Amounts of money on the command line."""


def dollars(text: str) -> float:
    """Return an amount above 0, for `argparse`.

    Raises:
        ValueError: the text is none.
    """
    value = float(text.removeprefix("$"))
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value
