"""A pipeline for ZenML's own Lightning integration, which runs unchanged with our flavor."""

from typing import Annotated

from zenml import pipeline, step
from zenml.client import Client
from zenml.config import DockerSettings


@step
def numbers() -> Annotated[list[int], "numbers"]:
    return [3, 1, 2]


@step
def largest(numbers: list[int]) -> Annotated[int, "largest"]:
    print(f"looking for the largest of {numbers}")
    return max(numbers)


@pipeline(enable_cache=False, settings={"docker": DockerSettings(requirements=["packaging"])})
def smallest_project() -> None:
    largest(numbers())


if __name__ == "__main__":
    run = Client().get_pipeline_run(smallest_project().id)
    print("largest:", run.steps["largest"].output.load())
