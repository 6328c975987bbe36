"""The commands that README shows, in their order."""

import re
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
# The mark, for readers and tests, of a command that does not run on this computer.
NEEDS_AN_ACCOUNT = "# needs an account"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LANGUAGES = ("sh", "python", "text")


@dataclass(frozen=True)
class Block:
    """A block of code: `sh` for commands, `python` for a program, `text` for text that is only shown."""

    language: str
    text: str


def blocks() -> list[Block]:
    """Return all blocks of README."""
    return [Block(*found) for found in _BLOCK.findall(README.read_text())]


def shell_script() -> str:
    """Return a script of all commands that run here, each shown before it runs; the first failure ends it."""
    lines = ["set -eu -o pipefail"]
    for block in blocks():
        if block.language == "sh":
            for command in _commands(block):
                lines += [f"cat <<'END OF COMMAND'\n$ {command}\nEND OF COMMAND", command]
        elif block.language == "python":
            lines += [f"python - <<'END OF PROGRAM'\n{block.text}END OF PROGRAM"]
    return "\n".join(lines) + "\n"


def make_targets() -> list[str]:
    """Return the commands that build the checkout, such as `make demo`, which CI runs unchanged."""
    return [word for block in blocks() if block.language == "sh" for word in re.findall(r"^make \w+", block.text, re.M)]


def _commands(block: Block) -> list[str]:
    return [
        line for line in block.text.splitlines() if not line.endswith(NEEDS_AN_ACCOUNT) and not line.startswith("make ")
    ]
