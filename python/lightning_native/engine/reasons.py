"""The reason of a failed command in words: its limit, its signal, and the last words of its output."""

import signal

from lightning_native.agent_protocol import Outcome

# The beginning of every reason that ends with the words of a command, which may be about anything.
COMMAND_ENDED = "its command ended with exit code"
_SIGNALS = {
    signal.SIGABRT: "aborted",
    signal.SIGBUS: "ended by a bus error",
    signal.SIGFPE: "ended by an arithmetic error",
    signal.SIGILL: "ended by an illegal instruction",
    signal.SIGKILL: "killed",
    signal.SIGSEGV: "ended by a segmentation fault",
}
# A command that has used this share of the memory when it is killed was most likely killed for it.
_MOST_OF_THE_MEMORY = 0.8
_GIGABYTE = 1 << 30
_HEADER = "Traceback (most recent call last):"
# Python's words between the exceptions of one chain.
_CHAIN = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
# A traceback further from the end than so many lines was dealt with, and is not the reason.
_LAST_LINES = 20
_LONGEST_WORDS = 300
_MOST_MESSAGE_LINES = 10
_MOST_TRACEBACK_LINES = 60


def timed_out(seconds: float, setting: str) -> str:
    """Return the reason that something took longer than the limit of a setting."""
    return f"timed out after {seconds:g} s ({setting})"


def reason_of(outcome: Outcome, output: str) -> str:
    """Return the reason why a command failed by itself; `output` is the end of its output."""
    words = signal_words(outcome.exit_code)
    if words is None:
        return f"{COMMAND_ENDED} {outcome.exit_code}{_last_words(output)}"
    if outcome.exit_code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return words + _memory_words(outcome)
    return words


def signal_words(exit_code: int) -> str | None:
    """Return the signal of an exit code in words, also as a shell tells it; None if a command has chosen the code."""
    number = -exit_code if exit_code < 0 else exit_code - 128
    known = next((words for each, words in _SIGNALS.items() if each == number), None)
    if known is None and exit_code >= 0:
        return None
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return f"{known} ({name})" if known else f"ended by {name}"


def _memory_words(outcome: Outcome) -> str:
    used, total = outcome.peak_memory, outcome.memory
    is_likely = outcome.out_of_memory or (total and used >= _MOST_OF_THE_MEMORY * total)
    guess = ": most likely out of memory" if is_likely else ""
    if not used or not total:
        return guess
    return f"; it had used {_gigabytes(used)} of {_gigabytes(total)} GB{guess}"


def _gigabytes(amount: int) -> str:
    return f"{amount / _GIGABYTE:.1f}".removesuffix(".0")


def _last_words(output: str) -> str:
    traceback = last_traceback(output)
    if traceback:
        return f": {_shortened(_exception_line(traceback.splitlines()))}"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f"; its last line: {_shortened(lines[-1])}" if lines else ""


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_WORDS else f"{text[:_LONGEST_WORDS]}…"


def last_traceback(output: str) -> str:
    """Return the Python traceback at the end of an output, with the exceptions that led to it; empty without one."""
    lines = output.splitlines()
    headers = [index for index, line in enumerate(lines) if line.rstrip() == _HEADER]
    if not headers:
        return ""
    begin = headers[-1]
    exception = _exception_after(lines, begin)
    after = lines[exception + 1 :]
    if exception == len(lines) or sum(1 for line in after if line.strip()) > _LAST_LINES:
        return ""
    message = next((count for count, line in enumerate(after) if not line.strip()), len(after))
    end = exception + 1 + min(message, _MOST_MESSAGE_LINES)
    for earlier in reversed(headers[:-1]):
        if end - earlier > _MOST_TRACEBACK_LINES or not any(line.rstrip() in _CHAIN for line in lines[earlier:begin]):
            break
        begin = earlier
    shown = lines[begin:end]
    if len(shown) > _MOST_TRACEBACK_LINES:
        half = _MOST_TRACEBACK_LINES // 2
        shown = [*shown[:half], "  …", *shown[-half:]]
    return "\n".join(shown)


def _exception_after(lines: list[str], header: int) -> int:
    """Return the index of the line with the exception that ends a traceback; their number if there is none."""
    frames = range(header + 1, len(lines))
    return next((index for index in frames if lines[index] and not lines[index].startswith(" ")), len(lines))


def _exception_line(traceback: list[str]) -> str:
    header = max(index for index, line in enumerate(traceback) if line.rstrip() == _HEADER)
    return traceback[_exception_after(traceback, header)].strip()
