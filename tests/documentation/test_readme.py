"""README's commands are known to `make test-readme`, which runs them."""

import re
import subprocess
from pathlib import Path

from tests.support.readme import LANGUAGES, NEEDS_AN_ACCOUNT, README, blocks, make_targets, shell_script

ROOT = Path(__file__).parents[2]


def test_no_block_is_forgotten() -> None:
    text = README.read_text()
    assert len(blocks()) == len(re.findall("^```", text, re.MULTILINE)) / 2
    assert {block.language for block in blocks()} == set(LANGUAGES)
    script = shell_script()
    shown = [line for block in blocks() if block.language == "sh" for line in block.text.splitlines()]
    left_out = [line for line in shown if line not in script]
    assert [line for line in left_out if not line.endswith(NEEDS_AN_ACCOUNT) and not line.startswith("make ")] == []
    assert len(shown) - len(left_out) > 15
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_what_make_builds_is_what_ci_runs() -> None:
    assert make_targets() == ["make demo"]
    steps = (ROOT / ".ci" / "run").read_text().splitlines()
    assert set(make_targets()) <= set(steps)
