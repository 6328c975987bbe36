"""Code for Lightning that somebody wants to test: it trains in a studio, fetches the score, and leaves no studio."""

from pathlib import Path

from lightning_sdk import Machine, Studio

TRAINING = Path(__file__).with_name("train.py")


class TrainingError(Exception):
    """The training ended with another exit code than 0; the message is its output."""


def train(name: str, folder: Path, machine: Machine = Machine.CPU) -> float:
    """Train in a studio of this name, keep score.txt in the folder, and return the score."""
    studio = Studio(name, create_ok=True)
    try:
        studio.start(machine)
        studio.upload_file(str(TRAINING), "train.py", progress_bar=False)
        output, code = studio.run_with_exit_code("python train.py")
        if code != 0:
            raise TrainingError(output)
        studio.download_file("score.txt", str(folder / "score.txt"))
    finally:
        studio.delete()
    return float((folder / "score.txt").read_text())
