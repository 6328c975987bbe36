"""The dynamic pipeline has as many isolated steps as its data ask for, each on a machine of its own."""

import ast
import re

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
