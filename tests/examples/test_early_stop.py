"""The search with early stop trains few of its trials to the end, and those are the best ones."""

import re

from tests.examples.conftest import User
from tests.support.abroad import wait_until_nothing_runs

TRIALS, REDUCTION = 4, 4


def test_only_the_best_trial_is_trained_to_the_end(user: User) -> None:
    output = user.run_example("early_stop/search.py", "--trials", str(TRIALS), "--reduction", str(REDUCTION))
    scored = re.findall(r"trial (\d): (\d\.\d+) after (\d+) more epochs", output)
    first = {trial: score for trial, score, epochs in scored if epochs == "2"}
    last = {trial: score for trial, score, epochs in scored if epochs == str(2 * REDUCTION)}
    assert len(first) == TRIALS
    # It ended early for all but one of them, and that one was ahead.
    assert list(last) == [max(first, key=lambda trial: first[trial])]
    ((winner, score),) = last.items()
    assert score > first[winner]
    assert re.search(rf"best: trial {winner}, rate \S+, score {score}", output)
    # The one that goes on has a machine of its own; the others share the pipeline's.
    reasons = user.reasons()["metadata"]
    trained = {name: metadata for name, metadata in reasons.items() if name.startswith("train")}
    assert len(trained) == TRIALS + 1
    assert len([name for name, metadata in trained.items() if "orchestrator_url" in metadata]) == 1
    assert set(user.statuses().values()) == {"completed"}
    wait_until_nothing_runs(user)
