"""The machines of a step that runs on several: rank 0 has its result, another one maybe the reason of its end."""

import signal
from dataclasses import replace

from lightning_native.agent_protocol import Outcome
from lightning_native.engine.context import RunContext
from lightning_native.engine.placements.job_follower import output_so_far
from lightning_native.engine.placements.job_output import split_attempts
from lightning_native.engine.plan import StepPlan
from lightning_native.engine.record.run_folder import StepLog
from lightning_native.engine.result import StepResult, result_of
from lightning_native.lightning.cloud import JobHandle


def told_to_end(outcome: Outcome) -> bool:
    """Return whether a command was ended by the signal of Lightning, whose reason only the job's end tells."""
    return outcome.stopped or outcome.exit_code == -signal.SIGTERM


def failed_machine(context: RunContext, step: StepPlan, attempt: int, job: JobHandle) -> StepResult | None:
    """Return the result of the first machine but rank 0 whose command failed by itself; its output joins the log.

    Raises:
        CloudError: its output cannot be read.
    """
    word = context.folder.word(context.operation_id(step.name, attempt))
    for rank in range(1, step.num_machines):
        output, outcome = split_attempts(output_so_far(job, "failed", rank), word, is_complete=True)[0]
        if outcome is None or outcome.exit_code == 0 or told_to_end(outcome):
            continue
        lines = "".join(f"[machine {rank}] {line}\n" for line in output.splitlines())
        StepLog(context.folder.log(step.name, attempt)).append(lines.encode(errors="replace"))
        result = result_of(step, outcome, output=context.shown(step.name, output))
        return replace(result, message=f"machine {rank} of {step.num_machines}: {result.message}")
    return None
