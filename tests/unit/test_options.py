"""An option means the same before an action, after it and in between, for each action of each command."""

import argparse
import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from lightning_native.cli import COMMANDS, main

WORDS = {"--to": "oci"}
SHARED = ("--local", "--json", "--yes", "--root")


def leaves(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every action with the words that lead to it."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in below:
        for name, child in action.choices.items():
            yield from leaves(child, (*path, name))
    if not below:
        yield path, parser


def words(parser: argparse.ArgumentParser) -> list[str]:
    """Return what an action must be given."""
    given: list[str] = []
    for action in parser._actions:
        if not action.option_strings and action.nargs != "?":
            given.append("1")
        elif action.required:
            given += [action.option_strings[0], WORDS[action.option_strings[0]]]
    return given


def cases() -> Iterator[Any]:
    for command in COMMANDS:
        parser = argparse.ArgumentParser()
        importlib.import_module(f"lightning_native.cli.{command}").add_arguments(parser)
        for path, leaf in leaves(parser):
            for action in leaf._actions:
                for option in set(action.option_strings) & set(SHARED):
                    value = [] if action.nargs == 0 else ["somewhere"]
                    name = " ".join((command, *path, option))
                    yield pytest.param(command, path, words(leaf), [option, *value], id=name)


def parsed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict[str, Any]:
    module = importlib.import_module(f"lightning_native.cli.{arguments[0]}")
    seen: list[argparse.Namespace] = []
    monkeypatch.setattr(module, "run", lambda args: seen.append(args) or 0)
    assert main(list(arguments)) == 0
    return {name: value for name, value in vars(seen[0]).items() if name != "handler"}


@pytest.mark.parametrize(("command", "path", "given", "option"), list(cases()))
def test_an_option_counts_wherever_it_is_given(
    monkeypatch: pytest.MonkeyPatch, command: str, path: tuple[str, ...], given: list[str], option: list[str]
) -> None:
    after = parsed(monkeypatch, command, *path, *given, *option)
    without = parsed(monkeypatch, command, *path, *given)
    assert after != without
    for number in range(len(path)):
        assert parsed(monkeypatch, command, *path[:number], *option, *path[number:], *given) == after


def test_every_command_that_talks_to_a_cloud_is_among_the_cases() -> None:
    local = {case.values[0] for case in cases() if case.values[3] == ["--local"]}
    assert local >= {"doctor", "environments", "gc", "job", "plan", "run", "schedules"}


@pytest.mark.parametrize(
    "arguments", [("schedules", "--yes", "list"), ("runs", "--json", "logs", "x"), ("job", "--local", "plan", "x")]
)
def test_an_option_that_is_none_of_the_action_is_refused_before_it_too(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2
    assert f"takes no {arguments[1]}" in capsys.readouterr().err
