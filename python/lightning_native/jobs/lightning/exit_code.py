"""The line with which a job's command prints its exit code, because Lightning itself keeps none.

A random word, new for each job, is added when the job is submitted, so that no other output can be mistaken for this
line. A process that follows the job reads the word from the job's command.
"""

import re
import secrets

_FORMAT = r"'\nlightning-native: exit code %s{word}\n'"
_WORD = r" \(([0-9a-f]{32})\)"
# For a shell with the exit code in `code`. It begins with a line break, because the last line of the output may have
# none.
PRINT_EXIT_CODE = f'printf {_FORMAT.format(word="")} "$code"'


def with_word(command: str) -> str:
    """Return a job's command with a new word in the line that prints its exit code."""
    word = f" ({secrets.token_hex(16)})"
    return command.replace(PRINT_EXIT_CODE, PRINT_EXIT_CODE.replace(_FORMAT.format(word=""), _FORMAT.format(word=word)))


def find_exit_code(output: str, command: str) -> int | None:
    """Return the exit code that a job's command has printed; None if it has not.

    With several machines, it is that of the first failed one, which ended the others.
    """
    words = re.findall(re.escape(PRINT_EXIT_CODE).replace("%s", f"%s{_WORD}"), command)
    if not words:
        return None
    # The SDK puts the machine's name before each line of several machines.
    line = re.search(
        rf"^(?:\[[^\[\]\n]*\] )?lightning-native: exit code (\d+) \({words[-1]}\)\r?$", output, re.MULTILINE
    )
    return int(line[1]) if line else None
