"""Bounds of the texts, arguments and seconds that any machine accepts."""

# Ten years: no run lasts longer, and no clock of a machine waits much longer.
LONGEST_SECONDS = 10 * 365 * 86400.0
# Linux's limit for one argument or variable (MAX_ARG_STRLEN).
LONGEST_ARGUMENT = 128 * 1024 - 1


def problem_of_text(text: str) -> str | None:
    """Return the reason why no machine accepts a text, as the end of a sentence; None if one does."""
    if "\0" in text:
        return "has a NUL character, which no command, variable or name can have; remove it"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"has half a character ({text[error.start]!a}), which no machine can be given; remove it"
    return None
