"""A run in whose studio or job the agent is killed comes to rest by itself, and `retry` completes it."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.bench import Bench
from tests.support.killing.points import AGENT, AgentKill

Record = Callable[[str, object], None]


@pytest.mark.spread(len(AGENT))
@pytest.mark.parametrize("kill", [pytest.param(kill, id=kill.name) for kill in AGENT])
def test_a_killed_agent_ends_its_step_and_the_run_is_retried(
    kill: AgentKill, shared: tuple[Path, dict[str, str]], tmp_path: Path, record_property: Record
) -> None:
    home, environ = shared
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIGHTNING_")}
    bench = Bench({**clean, "LIGHTNING_NATIVE_HOME": str(home)}, environ, tmp_path)
    died = tmp_path / "died"
    command = f"echo begun; if mkdir '{died}'; then {kill.command}; fi; echo x >>'{tmp_path}/one'"
    steps = f'{{one: {{command: "{command}"}}, two: {{command: "echo x >>\'{tmp_path}/two\'", needs: one}}}}'
    workflow = bench.write(f"{{name: kills, placement: {kill.placement}, steps: {steps}}}")
    code, output, errors = bench.call("run", workflow, "--local", "--json")
    assert died.exists(), errors
    result = json.loads(output)
    assert result["state"] == ("failed" if code else "completed"), result
    bench.assert_nothing_left(result["run_id"])
    way = "went on by itself"
    if code:
        # The reason is told.
        assert all(step["message"] for step in result["steps"] if step["state"] == "failed"), result
        way = "retry"
        code, output, errors = bench.call("runs", "retry", result["run_id"], "--json")
        assert (code, json.loads(output)["state"]) == (0, "completed"), errors
        bench.assert_nothing_left(json.loads(output)["run_id"])
    record_property("kill", (kill.name, result["state"], way))
    assert (tmp_path / "two").read_text() == "x\n"
