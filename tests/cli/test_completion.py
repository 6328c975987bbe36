"""A shell completes commands, options and runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_native.engine.record.journal import Journal

# What bash does at a tab.
TAB = """
eval "$(lightning-native completion bash)"
COMP_LINE="$1" COMP_POINT=${#1} COMP_WORDS=($1) COMP_TYPE=9
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_python_argcomplete lightning-native "${COMP_WORDS[$COMP_CWORD]}" ""
echo "${COMPREPLY[*]}"
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("lightning-native ru", {"run", "runs"}),
        ("lightning-native runs s", {"show", "stop"}),
        ("lightning-native run --lo", {"--local"}),
        ("lightning-native runs show ", {"last", "0123456789ab", "--json"}),
    ],
)
def test_a_tab_completes_commands_options_and_runs(line: str, expected: set[str]) -> None:
    with Journal() as journal:
        journal.begin("0123456789abcdef", "p")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", "-c", TAB, "bash", line], capture_output=True, text=True, check=True, env={**os.environ, "PATH": path}
    )
    assert expected <= set(result.stdout.split())


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_each_shell_has_a_script(shell: str) -> None:
    command = [sys.executable, "-m", "lightning_native", "completion", shell]
    assert "lightning-native" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
