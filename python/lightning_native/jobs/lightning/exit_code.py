"""The line with which a job's command prints the exit code of what it ran: Lightning itself keeps none.

A random word, new for each job, is added when the job is submitted, so that nothing else that is printed can be taken
for this line. Whoever watches the job reads the word from its command.
"""

import re
import secrets

_FORMAT = r"'\nlightning-native: exit code %s{word}\n'"
_WORD = r" \(([0-9a-f]{32})\)"
# In a shell that has the code in `code`; on a line of its own: what was printed before may have no end.
PRINT_EXIT_CODE = f'printf {_FORMAT.format(word="")} "$code"'


def with_word(command: str) -> str:
    """Return the command of a job that is to be submitted, which prints its exit code with a word of its own."""
    word = f" ({secrets.token_hex(16)})"
    return command.replace(PRINT_EXIT_CODE, PRINT_EXIT_CODE.replace(_FORMAT.format(word=""), _FORMAT.format(word=word)))


def find_exit_code(output: str, command: str) -> int | None:
    """Return the exit code that a job's command has printed; None where it has not.

    Of several machines, that of the first that failed: it ended the others.
    """
    words = re.findall(re.escape(PRINT_EXIT_CODE).replace("%s", f"%s{_WORD}"), command)
    if not words:
        return None
    # The SDK puts the machine's name before each line of several machines.
    line = re.search(
        rf"^(?:\[[^\[\]\n]*\] )?lightning-native: exit code (\d+) \({words[-1]}\)\r?$", output, re.MULTILINE
    )
    return int(line[1]) if line else None
