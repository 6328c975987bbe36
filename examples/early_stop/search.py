"""Hyper-parameter search with early stop: successive halving, in which bad trials end long before their last epoch.

All trials train for a few epochs on the small machine of the pipeline. The best of them go on, with as many times the
epochs, each on a GPU of its own; then the best of those. With the defaults, 9 trials begin and 1 trains for all of its
26 epochs: 54 epochs in all instead of 234. A dynamic pipeline decides with Python's own loops and `sorted`.

    lightning-native init --local       # or --account, for Lightning AI
    python examples/early_stop/search.py --trials 9 --reduction 3
"""

import argparse
from typing import Annotated

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from zenml import pipeline, step
from zenml.client import Client
from zenml.config import DockerSettings
from zenml.enums import StepRuntime

Trial = dict[str, float]


@step
def train(
    trial: Trial, epochs: int, model: MLPClassifier | None = None
) -> tuple[Annotated[MLPClassifier, "model"], Annotated[float, "score"]]:
    """Train for some more epochs, from the model of the round before."""
    images, digits = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(images / 16, digits, random_state=0, stratify=digits)
    model = model or MLPClassifier((64,), learning_rate_init=trial["rate"], alpha=trial["alpha"], random_state=0)
    for _ in range(epochs):
        model.partial_fit(train_x, train_y, classes=np.unique(digits))
    score = float(model.score(test_x, test_y))
    print(f"trial {trial['number']:g}: {score:.4f} after {epochs} more epochs")
    return model, score


@step
def announce(
    trial: Trial, model: MLPClassifier, score: float
) -> tuple[Annotated[MLPClassifier, "best_model"], Annotated[Trial, "best"]]:
    return model, {**trial, "score": score}


@pipeline(dynamic=True, enable_cache=False, settings={"docker": DockerSettings(requirements=["scikit-learn>=1.5"])})
def successive_halving(trials: int, reduction: int) -> None:
    on_gpu = train.with_options(
        runtime=StepRuntime.ISOLATED, settings={"orchestrator": {"machines": ["L4", "L40S", "T4"]}}
    )
    # A pipeline whose machine is replaced runs again and finds its steps: it has to ask for the same ones.
    random = np.random.default_rng(0)
    drawn = zip(10 ** random.uniform(-5, -1, trials), 10 ** random.uniform(-6, -1, trials), strict=True)
    asked = [{"number": number, "rate": rate, "alpha": alpha} for number, (rate, alpha) in enumerate(drawn)]

    epochs = 2
    running = [(trial, train.submit(trial, epochs)) for trial in asked]
    while True:
        running.sort(key=lambda pair: pair[1].get_artifact("score").load(), reverse=True)
        if len(running) == 1:
            break
        epochs *= reduction
        running = [
            (trial, on_gpu.submit(trial, epochs, future.get_artifact("model")))
            for trial, future in running[: max(1, len(running) // reduction)]
        ]
    trial, future = running[0]
    announce(trial, future.get_artifact("model"), future.get_artifact("score"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=9)
    parser.add_argument("--reduction", type=int, default=3, help="one in so many goes on after each round")
    arguments = parser.parse_args()
    run = Client().get_pipeline_run(successive_halving(arguments.trials, arguments.reduction).id)
    best = run.steps["announce"].outputs["best"][0].load()
    print(f"best: trial {best['number']:g}, rate {best['rate']:.2g}, score {best['score']:.4f}")
