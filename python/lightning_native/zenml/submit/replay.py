"""The replay of a pipeline's run: ZenML runs again what did not succeed, and takes the other steps' artifacts."""

from collections.abc import Collection
from pathlib import Path
from uuid import UUID

from zenml.client import Client
from zenml.pipelines.pipeline_definition import Pipeline
from zenml.utils import source_utils

from lightning_native import Dag
from lightning_native.errors import PlanError


def replay(pipeline_run: str, root: str | None, *, again_from: Collection[str] = ()) -> int:
    """Run a pipeline again on the active stack, without the steps that succeeded, and return 0 if it completed.

    Args:
        pipeline_run: ZenML's id of the run.
        root: the folder of its code; None, or one that is gone: this process's.
        again_from: steps that run again with all that depends on them.

    Raises:
        PlanError: ZenML cannot replay the run from here.
    """
    client = Client()
    try:
        run = client.get_pipeline_run(UUID(pipeline_run))
    except KeyError as error:
        raise PlanError(f"ZenML has no run {pipeline_run} any more; start the pipeline again") from error
    snapshot = run.snapshot
    source = snapshot.pipeline_spec.source if snapshot and snapshot.pipeline_spec else None
    if snapshot is None or source is None:
        raise PlanError(f"ZenML does not know the code of run {run.name}; start the pipeline again")
    if run.stack is not None and run.stack.id != client.active_stack_model.id:
        raise PlanError(
            f"run {run.name} was on stack {run.stack.name!r}; activate it: zenml stack set {run.stack.name}"
        )
    source_utils.set_custom_source_root(root if root and Path(root).is_dir() else str(Path.cwd()))
    pipeline = source_utils.load(source)
    if not isinstance(pipeline, Pipeline) or not hasattr(pipeline, "replay"):
        raise PlanError("this version of ZenML cannot replay runs; start the pipeline again: its cache has the results")
    dag = Dag({name: step.spec.upstream_steps for name, step in snapshot.step_configurations.items()})
    for name in again_from:
        if name not in snapshot.step_configurations:
            known = ", ".join(snapshot.step_configurations)
            raise PlanError(f"run {run.name} has no step {name!r} to begin from; its steps are {known}")
    again = set(again_from) | {below for name in again_from for below in dag.descendants(name)}
    succeeded = {name for name, step in run.steps.items() if step.status.is_successful}
    skip = set[str]()
    for name in dag.order():
        upstream = snapshot.step_configurations[name].spec.upstream_steps
        if name in succeeded and name not in again and set(upstream) <= skip:
            skip.add(name)
    replayed = pipeline.replay(pipeline_run=run.id, skip=skip)
    return 0 if client.get_pipeline_run(replayed.id).status.is_successful else 1
