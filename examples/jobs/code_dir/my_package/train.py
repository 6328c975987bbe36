import os
from pathlib import Path

from helper import loss


def main(epochs: str) -> None:
    losses = [loss(epoch) for epoch in range(int(epochs))]
    output = Path(os.environ["OUTPUT_DIR"])
    output.mkdir()
    (output / "losses.txt").write_text("\n".join(map(str, losses)))
    print("last loss:", losses[-1])
