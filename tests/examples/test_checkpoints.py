"""Training whose machine goes is continued after the last checkpoint, and its model is an artifact."""

import importlib.util
import re

import pytest
from tests.examples.conftest import User
from tests.support.abroad import wait_until_nothing_runs

needs_torch = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("torch", "lightning")), reason="torch is too large for CI"
)


def outputs(user: User, attempt: int) -> set[str]:
    folder = user.newest_folder().outputs("train", attempt)
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_each_epoch_is_trained_once_although_the_first_attempt_dies(user: User) -> None:
    output = user.run_example("checkpoints/with_scikit_learn.py", "--epochs", "5", "--die-after", "3")
    assert re.findall(r"epoch (\d): ", output) == ["1", "2", "3", "4", "5"]
    assert "resumed after epoch 3" in output
    scores = re.findall(r"epoch \d: (\S+)", output)
    assert scores == sorted(scores)
    # The metadata have the scores of both attempts, and the artifact is the model.
    assert f"5 epochs, score {scores[-1]}: MLPClassifier(" in output
    assert {name: step.attempt for name, step in user.steps().items()} == {"train": 2}
    assert outputs(user, 1) == outputs(user, 2) == {"checkpoints/last.joblib"}
    wait_until_nothing_runs(user)


@needs_torch
def test_lightning_goes_on_from_its_last_checkpoint_and_the_best_one_is_the_artifact(user: User) -> None:
    output = user.run_example("checkpoints/with_lightning.py", "--epochs", "5", "--die-after", "3")
    # The first attempt dies at the begin of its fourth epoch.
    assert re.findall(r"\] epoch (\d)", output) == ["1", "2", "3", "4", "4", "5"]
    found = re.search(r"5 epochs, score (\S+): (\S+)", output)
    assert found, output
    assert found[1] > "0.8"
    assert {name: step.attempt for name, step in user.steps().items()} == {"train": 2}
    assert outputs(user, 1) == outputs(user, 2) == {"checkpoints/best.ckpt", "checkpoints/last.ckpt"}
    wait_until_nothing_runs(user)
