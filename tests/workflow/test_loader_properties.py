"""A plan written as a workflow file is read back as the same plan."""

import string
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightning_native.engine.plan import Retry, RunPlan, StepPlan
from lightning_native.errors import PlanError
from lightning_native.lightning.machines import machine_slugs
from lightning_native.user_input.yaml_document import read_yaml
from lightning_native.workflow.loader import SHELL, load_workflow

# Texts that YAML can hold; names must also be printable.
texts = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=20)
names = texts.filter(lambda name: name.isprintable() and any(map(str.isalnum, name)))
studios = names.filter(lambda name: "/" not in name and name == name.strip() and name[0] not in "-.")
machines = st.sampled_from(sorted(machine_slugs()))
seconds = st.integers(1, 10**6).map(float)
requirement = st.sampled_from(["numpy>=1", "torch", "scipy==1.11", 'jax; python_version > "3"'])
environments = st.dictionaries(st.text(string.ascii_letters + "_", min_size=1, max_size=8), texts, max_size=3)
retries = st.builds(Retry, st.integers(0, 9), seconds, st.integers(1, 5).map(float)) | st.integers(0, 9).map(Retry)
commands = st.lists(texts, min_size=1, max_size=4).map(tuple) | texts.map(lambda text: (*SHELL, text))


@st.composite
def plans(draw: st.DrawFn) -> RunPlan:
    steps: list[StepPlan] = []
    for name in draw(st.lists(names, min_size=1, max_size=6, unique=True)):
        before = [step.name for step in steps]
        upstream = draw(st.lists(st.sampled_from(before), unique=True, max_size=3)) if before else []
        lines = draw(st.lists(requirement, unique=True, max_size=2))
        steps.append(
            StepPlan(
                name,
                draw(commands),
                tuple(draw(st.lists(machines, unique=True, max_size=3))),
                tuple(upstream),
                (("", "\n".join(lines)),) if lines else (),
                draw(st.none() | seconds),
                draw(retries),
                draw(st.booleans()),
            )
        )
    return RunPlan(
        run_id="0123",
        name=draw(names),
        steps=tuple(draw(st.permutations(steps))),
        placement=draw(st.sampled_from(["studio", "job"])),
        main_studio=draw(st.none() | studios),
        main_machine=draw(st.none() | machines),
        custom_commands=tuple(draw(st.lists(texts, max_size=2))),
        max_parallelism=draw(st.none() | st.integers(1, 99)),
        machine_limits=tuple(draw(st.dictionaries(machines, st.integers(1, 9), max_size=2)).items()),
        on_failure=draw(st.sampled_from(["continue", "stop", "fail_fast"])),
        timeout=draw(st.none() | seconds),
        pending_timeout=draw(seconds),
    )


def written(plan: RunPlan, environments: dict[str, dict[str, str]]) -> dict[str, Any]:
    def step(step: StepPlan) -> dict[str, Any]:
        shell = step.argv[: len(SHELL)] == SHELL and len(step.argv) == len(SHELL) + 1
        return {
            "command": step.argv[-1] if shell else list(step.argv),
            "machine": list(step.machines) or None,
            "needs": list(step.upstream),
            "requirements": [line for _, text in step.requirements for line in text.splitlines()],
            "timeout": step.timeout,
            "retries": vars(step.retry),
            "interruptible": step.interruptible,
            "env": {name: value.replace("$", "$$") for name, value in environments[step.name].items()},
        }

    return {
        "name": plan.name,
        "placement": plan.placement,
        "main_studio": plan.main_studio,
        "machine": plan.main_machine,
        "setup": list(plan.custom_commands),
        "max_parallelism": plan.max_parallelism,
        "machine_limits": dict(plan.machine_limits),
        "on_failure": plan.on_failure,
        "timeout": plan.timeout,
        "pending_timeout": plan.pending_timeout,
        "steps": {each.name: step(each) for each in plan.steps},
    }


def without_origins(plan: RunPlan) -> RunPlan:
    """Return the same plan with requirements that do not name their source."""
    return replace(
        plan,
        steps=tuple(
            replace(
                step, requirements=tuple(("", "\n".join(text.split("\n")).strip()) for _, text in step.requirements)
            )
            for step in plan.steps
        ),
    )


@given(plan=plans(), data=st.data(), flow=st.sampled_from([None, True, False]))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_plan_written_as_a_workflow_is_read_as_that_plan(
    tmp_path: Path, plan: RunPlan, data: st.DataObject, flow: bool | None
) -> None:
    variables = {step.name: data.draw(environments) for step in plan.steps}
    path = tmp_path / "workflow.yaml"
    text = yaml.safe_dump(written(plan, variables), default_flow_style=flow, allow_unicode=True, sort_keys=False)
    path.write_text(text, encoding="utf-8")
    try:
        workflow = load_workflow(path, run_id=plan.run_id, environment={})
    except PlanError as error:
        # Steps in one studio share requirements, and some of those contradict each other.
        assert "cannot hold together" in str(error)  # noqa: PT017
        return
    assert _joined(without_origins(workflow.plan)) == _joined(without_origins(plan))
    assert workflow.variables == variables


def _joined(plan: RunPlan) -> RunPlan:
    lines = [[line for _, text in step.requirements for line in text.split("\n") if line] for step in plan.steps]
    steps = (
        replace(step, requirements=tuple(("", line) for line in found))
        for step, found in zip(plan.steps, lines, strict=True)
    )
    return replace(plan, steps=tuple(steps))


@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"#%@,?~ \n\t\\0123<<."), max_size=60))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_either_read_or_refused_with_its_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(text)
    try:
        document = read_yaml(path)
    except PlanError as error:
        assert str(error).startswith(str(path))  # noqa: PT017
    else:
        for key in document.value:
            assert document.place((key,)).startswith(f"{path}:")
