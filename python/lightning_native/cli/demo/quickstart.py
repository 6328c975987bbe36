"""A small training pipeline: four models at the same time, one of them on another machine, and the best one wins.

`lightning-native demo` runs it on the local cloud.
"""

from typing import Annotated

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from zenml import pipeline, step
from zenml.client import Client

Candidate = dict[str, float]


@step
def load() -> tuple[Annotated[np.ndarray, "images"], Annotated[np.ndarray, "digits"]]:
    images, digits = load_digits(return_X_y=True)
    print(f"loaded {len(images)} images of handwritten digits")
    return images, digits


@step
def split(
    images: np.ndarray, digits: np.ndarray
) -> tuple[
    Annotated[np.ndarray, "train_images"],
    Annotated[np.ndarray, "test_images"],
    Annotated[np.ndarray, "train_digits"],
    Annotated[np.ndarray, "test_digits"],
]:
    train_x, test_x, train_y, test_y = train_test_split(images, digits, test_size=0.3, random_state=0, stratify=digits)
    return train_x, test_x, train_y, test_y


@step
def train(
    train_images: np.ndarray, test_images: np.ndarray, train_digits: np.ndarray, test_digits: np.ndarray, gamma: float
) -> Annotated[Candidate, "candidate"]:
    score = SVC(gamma=gamma).fit(train_images, train_digits).score(test_images, test_digits)
    print(f"gamma={gamma:g}: {score:.4f} of the test images recognised")
    return {"gamma": gamma, "score": float(score)}


@step
def pick_best(a: Candidate, b: Candidate, c: Candidate, d: Candidate) -> Annotated[Candidate, "best"]:
    return max((a, b, c, d), key=lambda candidate: candidate["score"])


@step
def report(best: Candidate) -> Annotated[str, "report"]:
    text = f"best model: SVC(gamma={best['gamma']:g}), score {best['score']:.4f}"
    print(text)
    return text


@pipeline(enable_cache=False)
def quickstart() -> None:
    parts = split(*load())
    on_gpu = train.with_options(settings={"orchestrator": {"machine_type": "L4"}})
    best = pick_best(
        train(*parts, gamma=0.0001),
        train(*parts, gamma=0.001),
        train(*parts, gamma=0.01),
        on_gpu(*parts, gamma=0.0005),
    )
    report(best)


if __name__ == "__main__":
    run = quickstart()
    print(Client().get_pipeline_run(run.id).steps["report"].output.load())
