"""Training that goes on from its last checkpoint, with a model as the artifact; no torch.

The machine is a cheap one that Lightning may take back at any time. `outputs` brings the checkpoints back each minute;
the next attempt finds them in the folder that LIGHTNING_NATIVE_RESUME names, and trains the epochs that are left.

    lightning-native init --local       # or --account, for Lightning AI
    python examples/checkpoints/with_scikit_learn.py --epochs 20
    python examples/checkpoints/with_scikit_learn.py --epochs 20 --die-after 12    # its first machine goes
    lightning-native runs outputs RUN   # the checkpoints of each attempt, on this computer
"""

import argparse
import os
import signal
from pathlib import Path
from typing import Annotated

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from zenml import log_metadata, pipeline, step
from zenml.client import Client
from zenml.config import DockerSettings
from zenml.config.retry_config import StepRetryConfig

LAST = Path("checkpoints", "last.joblib")


def save(checkpoint: dict[str, object]) -> None:
    LAST.parent.mkdir(exist_ok=True)
    # Renamed, because half a checkpoint would be worse than the one before.
    partial = LAST.with_suffix(".partial")
    joblib.dump(checkpoint, partial)
    partial.rename(LAST)


@step(
    retry=StepRetryConfig(max_retries=3),
    settings={"orchestrator": {"interruptible": True, "outputs": ["checkpoints/*.joblib"], "outputs_every": 60}},
)
def train(epochs: int, die_after: int) -> Annotated[MLPClassifier, "model"]:
    images, digits = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(images / 16, digits, random_state=0, stratify=digits)

    model, done, scores = MLPClassifier((64,), learning_rate_init=0.003, random_state=0), 0, []
    if resume := os.environ.get("LIGHTNING_NATIVE_RESUME"):
        checkpoint = joblib.load(Path(resume) / LAST)
        model, done, scores = checkpoint["model"], checkpoint["done"], checkpoint["scores"]
        print(f"resumed after epoch {done}")

    for epoch in range(done + 1, epochs + 1):
        model.partial_fit(train_x, train_y, classes=np.unique(digits))
        scores.append(float(model.score(test_x, test_y)))
        print(f"epoch {epoch}: {scores[-1]:.4f}")
        save({"model": model, "done": epoch, "scores": scores})
        if epoch == die_after and not resume:
            os.kill(os.getpid(), signal.SIGKILL)
    log_metadata({"scores": scores})
    return model


@pipeline(
    enable_cache=False,
    settings={
        "docker": DockerSettings(requirements=["scikit-learn>=1.5"]),
        "orchestrator": {"placement": "job"},
    },
)
def with_checkpoints(epochs: int, die_after: int) -> None:
    train(epochs, die_after)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--die-after", type=int, default=0, help="kill the first attempt after this epoch")
    arguments = parser.parse_args()
    run = Client().get_pipeline_run(with_checkpoints(arguments.epochs, arguments.die_after).id)
    trained = run.steps["train"]
    scores = trained.run_metadata["scores"]
    print(f"{len(scores)} epochs, score {scores[-1]:.4f}: {trained.output.load()}")
