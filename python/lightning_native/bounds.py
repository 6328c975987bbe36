"""Bounds of what any machine can be given: texts, arguments and seconds."""

# No clock of a machine waits much longer, and no run of anybody lasts longer.
LONGEST_SECONDS = 10 * 365 * 86400.0
# Linux takes no longer text as one argument or variable.
LONGEST_ARGUMENT = 128 * 1024 - 1


def problem_of_text(text: str) -> str | None:
    """Return why no machine can be given a text, as the end of a sentence; None if it can."""
    if "\0" in text:
        return "has a NUL character, which no command, variable or name can have; remove it"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"has half a character ({text[error.start]!a}), which no machine can be given; remove it"
    return None
