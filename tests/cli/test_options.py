"""An option means the same before an action, after it and in between, for each action of each command."""

import argparse
import importlib
from typing import Any

import pytest
from tests.support.actions import Action, actions

from lightning_native.cli import main

SHARED = ("--local", "--json", "--yes", "--root")
CASES = [
    pytest.param(action, option, id=" ".join((*action.path, option)))
    for action in actions()
    for option in SHARED
    if option in action.options
]


def parsed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict[str, Any]:
    module = importlib.import_module(f"lightning_native.cli.{arguments[0]}")
    seen: list[argparse.Namespace] = []
    monkeypatch.setattr(module, "run", lambda args: seen.append(args) or 0)
    assert main(list(arguments)) == 0
    return {name: value for name, value in vars(seen[0]).items() if name != "handler"}


@pytest.mark.parametrize(("action", "name"), CASES)
def test_an_option_counts_wherever_it_is_given(monkeypatch: pytest.MonkeyPatch, action: Action, name: str) -> None:
    option = [name] if action.options[name].nargs == 0 else [name, "somewhere"]
    after = parsed(monkeypatch, *action.path, *action.required, *option)
    assert after != parsed(monkeypatch, *action.path, *action.required)
    for number in range(1, len(action.path)):
        before = (*action.path[:number], *option, *action.path[number:])
        assert parsed(monkeypatch, *before, *action.required) == after


def test_every_command_that_talks_to_a_cloud_is_among_the_cases() -> None:
    local = {action.path[0] for action in actions() if "--local" in action.options}
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
