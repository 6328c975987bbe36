"""A network for digits in Lightning's terms; only machines that train it need torch."""

import torch
from lightning.pytorch import LightningModule
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset


class DigitsNetwork(LightningModule):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layers = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, digits = batch
        return cross_entropy(self.layers(images), digits)

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        images, digits = batch
        self.log("score", (self.layers(images).argmax(dim=1) == digits).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.003)


def loaders() -> tuple[DataLoader, DataLoader]:
    """Return the images to train with, and those to validate with."""
    images, digits = load_digits(return_X_y=True)
    parts = train_test_split(images / 16, digits, random_state=0, stratify=digits)
    train_x, test_x, train_y, test_y = (torch.as_tensor(part) for part in parts)
    training, validation = TensorDataset(train_x.float(), train_y), TensorDataset(test_x.float(), test_y)
    return DataLoader(training, batch_size=64, shuffle=True), DataLoader(validation, batch_size=512)
