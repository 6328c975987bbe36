"""GPU fan-out: a network for each learning rate, all trained at the same time on GPUs of their own; the best one wins.

Each training is a Lightning job on an L4; where none can be had for five minutes, on an L40S, then on a T4. The jobs
start from one studio, in which the requirements are installed once. The network is a small one of scikit-learn, which
needs no GPU: put yours into `train`.

    lightning-native init --local       # or --account, for Lightning AI
    python examples/gpu_fan_out/pipeline.py --rates 0.03 0.01 0.001 0.0001
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

Candidate = dict[str, float]


@step(settings={"orchestrator": {"machines": ["L4", "L40S", "T4"]}})
def train(rate: float) -> tuple[Annotated[MLPClassifier, "model"], Annotated[Candidate, "candidate"]]:
    images, digits = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(images / 16, digits, random_state=0, stratify=digits)
    model = MLPClassifier((64,), learning_rate_init=rate, random_state=0)
    for _ in range(20):
        model.partial_fit(train_x, train_y, classes=np.unique(digits))
    score = float(model.score(test_x, test_y))
    print(f"rate {rate:g}: {score:.4f} of the test images recognised")
    return model, {"rate": rate, "score": score}


@step
def pick_best(
    models: list[MLPClassifier], candidates: list[Candidate]
) -> tuple[Annotated[MLPClassifier, "best_model"], Annotated[Candidate, "best"]]:
    best = max(range(len(candidates)), key=lambda number: candidates[number]["score"])
    return models[best], candidates[best]


@pipeline(
    enable_cache=False,
    settings={
        "docker": DockerSettings(requirements=["scikit-learn>=1.5"]),
        # At most four L4 at the same time, and two dollars in all: the run is refused if more is expected.
        "orchestrator": {"placement": "job", "pending_timeout": 300, "machine_limits": {"L4": 4}, "budget": 2.0},
    },
)
def gpu_fan_out(rates: list[float]) -> None:
    trained = [train(rate, id=f"train_{rate:g}") for rate in rates]
    pick_best([model for model, _ in trained], [candidate for _, candidate in trained])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rates", type=float, nargs="+", default=[0.03, 0.01, 0.001, 0.0001])
    run = Client().get_pipeline_run(gpu_fan_out(parser.parse_args().rates).id)
    best = run.steps["pick_best"].outputs["best"][0].load()
    print(f"best: rate {best['rate']:g}, score {best['score']:.4f}")
