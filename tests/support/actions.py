"""Every action of every command, from its parser."""

import argparse
import importlib
from collections.abc import Iterator
from dataclasses import dataclass

from lightning_native.cli import COMMANDS

# The values of arguments whose content matters.
_WORDS = {"--to": "oci", "workflow": "workflow.yaml", "file": "job.yaml"}


@dataclass(frozen=True)
class Action:
    """One action of a command: the words that lead to it, its required arguments, and its options."""

    path: tuple[str, ...]
    required: tuple[str, ...]
    options: dict[str, argparse.Action]


def actions() -> Iterator[Action]:
    """Yield all actions of all commands."""
    for command in COMMANDS:
        parser = argparse.ArgumentParser()
        importlib.import_module(f"lightning_native.cli.{command}").add_arguments(parser)
        yield from _actions(parser, (command,))


def _actions(parser: argparse.ArgumentParser, path: tuple[str, ...]) -> Iterator[Action]:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in below:
        for name, child in action.choices.items():
            yield from _actions(child, (*path, name))
    if not below:
        options = {name: action for action in parser._actions for name in action.option_strings}
        yield Action(path, tuple(_required(parser)), options)


def _required(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if not action.option_strings and action.nargs != "?":
            yield _WORDS.get(action.dest, "1")
        elif action.required:
            yield from (action.option_strings[0], _WORDS[action.option_strings[0]])
