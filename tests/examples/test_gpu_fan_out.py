"""The GPU fan-out trains each model on a GPU, has machines to fall back on, and picks the best model."""

import re

from tests.examples.conftest import User
from tests.support.abroad import wait_until_nothing_runs

RATES = ("0.01", "0.0001")


def test_each_training_has_a_gpu_of_its_own_and_the_best_model_wins(user: User) -> None:
    output = user.run_example("gpu_fan_out/pipeline.py", "--rates", *RATES)
    scores = dict(re.findall(r"rate (\S+): (\S+) of the test images recognised", output))
    assert set(scores) == set(RATES)
    assert max(scores.values()) == scores["0.01"] > "0.9"
    assert f"best: rate 0.01, score {scores['0.01']}" in output
    steps = user.steps()
    assert {name: step.machine for name, step in steps.items()} == {
        "train_0.01": "L4",
        "train_0.0001": "L4",
        "pick_best": "CPU",
    }
    assert len({step.place for step in steps.values()}) == len(steps)
    planned = {step.name: step for step in user.newest_folder().plan().steps}
    assert planned["train_0.01"].machines == ("L4", "L40S", "T4")
    assert planned["train_0.01"].upstream == planned["train_0.0001"].upstream == ()
    wait_until_nothing_runs(user)
