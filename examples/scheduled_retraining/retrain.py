"""Scheduled retraining: each night a model is trained with the newest data, and replaces the champion if it is better.

Lightning keeps the schedule and starts the runs; this computer may be off. Each run is a run of its own in ZenML, and
the champion is the newest version of an artifact.

    lightning-native init --local       # or --account, for Lightning AI
    python examples/scheduled_retraining/retrain.py --cron '0 2 * * *' --timezone Europe/Zurich
    lightning-native schedules list     # with --local on the local cloud, as all that follow
    lightning-native schedules runs nightly-retraining
    lightning-native schedules pause nightly-retraining     # and: resume, change --cron '0 4 * * *'
    lightning-native schedules delete nightly-retraining    # with its runs and its studios

The local cloud fires schedules while it runs, on its own clock. Started first, this one makes an hour of each minute:

    lightning-native emulator --root ~/.local/share/lightning-native/cloud --clock-rate 60
"""

import argparse
import time
from typing import Annotated

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from zenml import pipeline, save_artifact, step
from zenml.client import Client
from zenml.config import DockerSettings
from zenml.config.schedule import Schedule

CHAMPION = "digits_champion"


@step
def train() -> Annotated[SVC, "challenger"]:
    """Train with the newest data: here, 500 images that are others each time."""
    images, digits = load_digits(return_X_y=True)
    train_x, _, train_y, _ = train_test_split(images, digits, random_state=0, stratify=digits)
    newest = np.random.default_rng(time.time_ns()).choice(len(train_x), 500, replace=False)
    return SVC(gamma=0.001).fit(train_x[newest], train_y[newest])


@step
def promote(challenger: SVC) -> Annotated[dict[str, float], "scores"]:
    """Compare both on images that neither has seen, and keep the better one as the champion."""
    images, digits = load_digits(return_X_y=True)
    _, test_x, _, test_y = train_test_split(images, digits, random_state=0, stratify=digits)
    scores = {"challenger": float(challenger.score(test_x, test_y)), "champion": 0.0}
    if champions := Client().list_artifact_versions(artifact=CHAMPION, sort_by="desc:created", size=1).items:
        scores["champion"] = float(champions[0].load().score(test_x, test_y))
    if scores["challenger"] > scores["champion"]:
        save_artifact(challenger, CHAMPION)
    print(f"challenger {scores['challenger']:.4f}, champion {scores['champion']:.4f}")
    return scores


@pipeline(enable_cache=False, settings={"docker": DockerSettings(requirements=["scikit-learn>=1.5"])})
def retraining() -> None:
    promote(train())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cron", default="0 2 * * *", help="minute, hour, day of the month, month, day of the week")
    parser.add_argument("--timezone", default="UTC")
    arguments = parser.parse_args()
    retraining.with_options(
        schedule=Schedule(name="nightly-retraining", cron_expression=arguments.cron),
        settings={"orchestrator": {"timezone": arguments.timezone}},
    )()
