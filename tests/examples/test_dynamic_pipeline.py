"""The dynamic pipeline has as many isolated steps as its data ask for, each on a machine of its own."""

import ast
import json
import re

import pytest
from tests.examples.conftest import User
from tests.support.abroad import wait_until_nothing_runs


def test_each_confused_pair_of_digits_gets_a_specialist_on_a_machine_of_its_own(user: User) -> None:
    output = user.run_example("dynamic_pipeline/specialists.py", "--confused", "6")
    found = re.search(r"often confused: (\[\[.*\]\])", output)
    assert found, output
    pairs = ast.literal_eval(found[1])
    places = {name: metadata.get("orchestrator_url") for name, metadata in user.reasons()["metadata"].items()}
    isolated = {name: place for name, place in places.items() if "train_specialist" in name}
    assert len(isolated) == len(pairs) > 1
    assert None not in isolated.values()
    assert len(set(isolated.values())) == len(pairs)
    assert places["train_base"] is None
    assert places["compare"] is None
    alone, helped = (float(score) for score in re.findall(r"^(?:alone|with specialists): (\S+)$", output, re.MULTILINE))
    assert helped > alone > 0.8
    assert set(user.statuses().values()) == {"completed"}
    wait_until_nothing_runs(user)
    # They were runs of their own, in a journal that is gone with the pipeline's studio.
    shown = json.loads(user.command("runs", "show", "last", "--json"))
    steps = {step["name"]: step for step in shown["steps"]}
    assert set(isolated) < set(steps)
    assert {steps[name]["state"] for name in isolated} == {"succeeded"}
    assert all(steps[name]["cost"] > 0 and steps[name]["machine"] for name in isolated)
    assert shown["cost"]["dollars"] == pytest.approx(sum(step["cost"] for step in steps.values()))
    costs = user.reasons()["metadata"]
    assert costs["run"]["cost_dollars"] == pytest.approx(shown["cost"]["dollars"], abs=1e-5)
    assert set(costs["run"]["step_costs"]) == set(steps)
    assert all("logs_command" not in costs[name] for name in isolated)
