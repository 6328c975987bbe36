"""A dynamic pipeline with isolated steps: the data decide how many steps there are.

A simple model confuses some pairs of digits. Each pair that it confuses often gets a specialist, trained in an isolated
step: on a machine of its own, at the same time as the others, and again if it fails. The other steps are inline: they
run in the process of the pipeline, without a machine to wait for.

    lightning-native init --local       # or --account, for Lightning AI
    python examples/dynamic_pipeline/specialists.py --confused 5
"""

import argparse
from typing import Annotated

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC
from zenml import pipeline, step
from zenml.client import Client
from zenml.config import DockerSettings
from zenml.config.retry_config import StepRetryConfig
from zenml.enums import StepRuntime

Pair = list[int]


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    images, digits = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(images, digits, test_size=0.5, random_state=0, stratify=digits)
    return train_x, test_x, train_y, test_y


@step
def train_base(confused: int) -> tuple[Annotated[GaussianNB, "base"], Annotated[list[Pair], "pairs"]]:
    train_x, _, train_y, _ = data()
    base = GaussianNB(var_smoothing=0.01).fit(train_x, train_y)
    errors = confusion_matrix(train_y, base.predict(train_x))
    errors = np.triu(errors + errors.T, k=1)
    pairs = [[int(a), int(b)] for a, b in zip(*np.where(errors >= confused), strict=True)]
    print(f"often confused: {pairs}")
    return base, pairs


@step(
    runtime=StepRuntime.ISOLATED,
    retry=StepRetryConfig(max_retries=1),
    settings={"orchestrator": {"machine_type": "CPU_X_4"}},
)
def train_specialist(pair: Pair) -> Annotated[SVC, "specialist"]:
    train_x, _, train_y, _ = data()
    either = np.isin(train_y, pair)
    return SVC(gamma=0.001).fit(train_x[either], train_y[either])


@step
def compare(base: GaussianNB, specialists: list[SVC]) -> Annotated[dict[str, float], "scores"]:
    _, test_x, _, test_y = data()
    alone = base.predict(test_x)
    helped = alone.copy()
    for specialist in specialists:
        unsure = np.isin(alone, specialist.classes_)
        helped[unsure] = specialist.predict(test_x[unsure])
    return {"alone": float(np.mean(alone == test_y)), "with specialists": float(np.mean(helped == test_y))}


@pipeline(dynamic=True, enable_cache=False, settings={"docker": DockerSettings(requirements=["scikit-learn>=1.5"])})
def with_specialists(confused: int) -> None:
    base, pairs = train_base(confused)
    specialists = train_specialist.map(pairs)
    compare(base, specialists)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--confused", type=int, default=5, help="images of a pair that the simple model confuses")
    run = Client().get_pipeline_run(with_specialists(parser.parse_args().confused).id)
    for name, score in run.steps["compare"].output.load().items():
        print(f"{name}: {score:.4f}")
