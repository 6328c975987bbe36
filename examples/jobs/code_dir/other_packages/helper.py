def loss(epoch: int) -> float:
    return 1 / (epoch + 1)
