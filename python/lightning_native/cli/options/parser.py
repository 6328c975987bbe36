"""The parser of the command line: its mistakes name the nearest right words."""

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from lightning_native.cli.text.messages import show_error, show_hint

_CHOICE = re.compile(r"argument (.+?): invalid choice: '(.*)' \(choose from (.*)\)", re.DOTALL)
_VALUE = re.compile(r"argument (.+?): invalid (.+?) value: '(.*)'", re.DOTALL)
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "duration": "an age such as 90s, 12h or 30d",
    "size": "a size such as 500M or 5G",
    "dollars": "dollars such as 2.50",
    "seconds": "seconds",
    "rate": "a rate above 0",
    "_positive": "a whole number above 0",
}
# How like a word must be to be meant.
_NEAR = 0.7
_UNKNOWN = re.compile(r"unrecognized arguments: (.*)", re.DOTALL)


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors are one line, with a hint."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # The parser of the command that was named on the command line, which knows its options.
        self.named: argparse.ArgumentParser | None = None
        self.words: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        """Write the error and end with exit code 2."""
        words = [word for word in self.words if word.startswith("--")]
        if message.endswith("required: COMMAND") and words:
            message = f"unrecognized arguments: {words[0]}"
        if choice := _CHOICE.match(message):
            what, wrong, choices = choice.groups()
            right = [each.strip().strip("'") for each in choices.split(",")]
            kind = {"COMMAND": "command", "ACTION": "action"}.get(what)
            show_error(f"there is no {kind} {wrong!r}" if kind else f"{what} takes no {wrong!r}")
            nearest = get_close_matches(wrong, right, 1, _NEAR)
            instead = f"see {self.prog} --help" if kind else f"choose from {', '.join(right)}"
            show_hint(f"did you mean {nearest[0]}?" if nearest else instead)
        elif value := _VALUE.match(message):
            what, kind, wrong = value.groups()
            show_error(f"{what} takes {_KINDS.get(kind, kind)}, and not {wrong!r}")
            show_hint(f"see {self.prog} --help")
        elif unknown := _UNKNOWN.match(message):
            parser = self._innermost()
            show_error(f"{parser.prog} takes no {unknown[1]}")
            options = [name for action in parser._actions for name in action.option_strings if name.startswith("--")]
            nearest = get_close_matches(unknown[1].split()[0].partition("=")[0], options, 1, _NEAR)
            show_hint(f"did you mean {nearest[0]}?" if nearest else f"see {parser.prog} --help")
        else:
            show_error(message)
            show_hint(f"see {self.prog} --help")
        sys.exit(2)

    def _innermost(self) -> argparse.ArgumentParser:
        """Return the parser of the command and action that the command line names."""
        parser, words = self.named or self, self.words
        for choices in self._below(parser):
            named = next((choices[word] for word in words if word in choices), None)
            parser = named or parser
        return parser

    @staticmethod
    def _below(parser: argparse.ArgumentParser) -> Iterable[dict[str, argparse.ArgumentParser]]:
        actions = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
        return [dict(action.choices) for action in actions]
