"""Training with Lightning's `ModelCheckpoint` that goes on from its last checkpoint; the best one is the artifact.

The machine is a GPU that Lightning may take back at any time. `outputs` brings the checkpoints back each five minutes;
the next attempt finds them in the folder that LIGHTNING_NATIVE_RESUME names. The computer that submits needs no torch:
requirements.txt is for the machine.

    lightning-native init --local       # or --account, for Lightning AI
    python examples/checkpoints/with_lightning.py --epochs 20
    python examples/checkpoints/with_lightning.py --epochs 20 --die-after 12    # its first machine goes
    lightning-native runs outputs RUN   # the checkpoints of each attempt, on this computer
"""

import argparse
import os
import shutil
import signal
from pathlib import Path
from typing import Annotated

from zenml import log_metadata, pipeline, step
from zenml.client import Client
from zenml.config import DockerSettings
from zenml.config.retry_config import StepRetryConfig

CHECKPOINTS = Path("checkpoints")


@step(
    retry=StepRetryConfig(max_retries=3),
    settings={
        "orchestrator": {
            "machines": ["L4", "L40S", "T4"],
            "interruptible": True,
            "outputs": ["checkpoints/*.ckpt"],
            "outputs_every": 300,
        }
    },
)
def train(epochs: int, die_after: int) -> Annotated[Path, "best_checkpoint"]:
    from digits import DigitsNetwork, loaders
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint

    resume = os.environ.get("LIGHTNING_NATIVE_RESUME")

    class Watch(Callback):
        def on_train_epoch_start(self, trainer: Trainer, _: LightningModule) -> None:
            print(f"epoch {trainer.current_epoch + 1}")
            if trainer.current_epoch == die_after > 0 and not resume:
                os.kill(os.getpid(), signal.SIGKILL)

    # The checkpoints of the attempt before are those of this one, the best one among them.
    if resume:
        shutil.copytree(Path(resume) / CHECKPOINTS, CHECKPOINTS)
    best = ModelCheckpoint(
        CHECKPOINTS, filename="best", monitor="score", mode="max", save_last=True, enable_version_counter=False
    )
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=epochs, callbacks=[best, Watch()], **quiet)
    trainer.fit(DigitsNetwork(), *loaders(), ckpt_path=CHECKPOINTS / "last.ckpt" if resume else None)
    log_metadata({"score": float(best.best_model_score), "epochs": trainer.current_epoch})
    return Path(best.best_model_path)


@pipeline(
    enable_cache=False,
    settings={
        "docker": DockerSettings(requirements=str(Path(__file__).with_name("requirements.txt"))),
        "orchestrator": {"placement": "job"},
    },
)
def with_model_checkpoint(epochs: int, die_after: int) -> None:
    train(epochs, die_after)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--die-after", type=int, default=0, help="kill the first attempt after this epoch")
    arguments = parser.parse_args()
    run = Client().get_pipeline_run(with_model_checkpoint(arguments.epochs, arguments.die_after).id)
    trained = run.steps["train"]
    score, epochs = trained.run_metadata["score"], trained.run_metadata["epochs"]
    print(f"{epochs} epochs, score {score:.4f}: {trained.output.load()}")
