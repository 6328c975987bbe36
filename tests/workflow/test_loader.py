"""A workflow file becomes a plan; every mistake in it is reported at its line, with a remedy."""

import re
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from lightning_native.cli import main
from lightning_native.engine.plan import Retry
from lightning_native.engine.planning.machine_choice import MachineOffer, ResourceRequest
from lightning_native.errors import PlanError
from lightning_native.workflow.loader import SHELL, Workflow, load_workflow, resolve_machines
from lightning_native.workflow.schema import Resources, StepDocument, WorkflowDocument

FULL = """
x-training: &training
  retries: {count: 2, delay: 5s, backoff: 2}
  timeout: 1h30m
name: digits
root: code
placement: studio
machine: cpu_x_8
main_studio: mine
max_parallelism: 4
machine_limits: {l4: 2}
on_failure: stop
timeout: 2h
budget: 7.5
env: {VERSION: 1.10, COUNTRY: no, TOKEN: "${SECRET}"}
requirements: requirements.txt
setup: [apt-get install -y jq]
steps:
  load:
    command: python load.py && echo done
  train:
    <<: *training
    command: [python, train.py, "a b"]
    machine: [L4, a100]
    needs: load
    env: {VERSION: 2, PRICE: "5 $$", REGION: "${REGION:-eu}"}
    requirements: [torch>=2]
    interruptible: true
    outputs: [checkpoints/**, "*.csv"]
    outputs_every: 5m
  evaluate:
    command: python evaluate.py
    machine: {gpu_type: l4, memory: 64GB}
    needs: [load, train]
    retries: 3
    timeout: 90
"""


def load(folder: Path, text: str, environment: dict[str, str] | None = None) -> Workflow:
    path = folder / "workflow.yaml"
    path.write_text(textwrap.dedent(text))
    return load_workflow(path, environment=environment or {})


def refused(folder: Path, text: str) -> list[str]:
    """Load a workflow file that must be refused, and return the message's lines without the folder."""
    with pytest.raises(PlanError) as error:
        load(folder, text)
    return str(error.value).replace(f"{folder}/", "").splitlines()


def test_every_key_of_the_format_reaches_the_plan(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "requirements.txt").write_text("numpy>=1\n")
    workflow = load(tmp_path, FULL, {"SECRET": "s3cret"})
    plan = workflow.plan
    assert (plan.name, plan.placement, plan.main_machine, plan.main_studio) == ("digits", "studio", "CPU_X_8", "mine")
    assert (plan.max_parallelism, plan.machine_limits, plan.on_failure) == (4, (("L4", 2),), "stop")
    assert plan.budget == 7.5
    assert (plan.timeout, plan.custom_commands) == (7200.0, ("apt-get install -y jq",))
    assert workflow.root == tmp_path / "code"
    loading, training, evaluating = plan.steps
    common = (str(tmp_path / "requirements.txt"), "numpy>=1\n")
    assert loading.argv == (*SHELL, "python load.py && echo done")
    assert loading.requirements == (common,)
    assert training.argv == ("python", "train.py", "a b")
    assert (training.machines, training.upstream, training.interruptible) == (("L4", "A100"), ("load",), True)
    assert (training.outputs, training.outputs_every) == (("checkpoints/**", "*.csv"), 300.0)
    assert (training.retry, training.timeout) == (Retry(2, 5.0, 2.0), 5400.0)
    assert [text.strip() for _, text in training.requirements] == ["numpy>=1", "torch>=2"]
    assert (evaluating.retry, evaluating.timeout, evaluating.upstream) == (Retry(3), 90.0, ("load", "train"))
    assert workflow.requests == {"evaluate": ResourceRequest(gpu_type="l4", memory_gb=64.0)}
    assert workflow.variables["load"] == {"VERSION": "1.10", "COUNTRY": "no", "TOKEN": "s3cret"}
    assert workflow.variables["train"] == {
        "VERSION": "2", "COUNTRY": "no", "TOKEN": "s3cret", "PRICE": "5 $", "REGION": "eu",
    }  # fmt: skip


def test_little_is_enough(tmp_path: Path) -> None:
    workflow = load(tmp_path, "steps: {hello: {command: echo hello}}")
    assert workflow.plan.name == "workflow"
    assert workflow.root == tmp_path
    assert workflow.variables == {"hello": {}}
    assert not workflow.needs_offers


def test_numbers_and_booleans_are_text_as_written_where_text_is_wanted(tmp_path: Path) -> None:
    text = """\
    name: 2026
    steps:
      1:
        command: true
        env: {A: True, B: 0x10, C: 1e3}
      2:
        command: [python, --lr, 0.10, --fast, True]
        needs: 1
    """
    workflow = load(tmp_path, text)
    first, second = workflow.plan.steps
    assert (workflow.plan.name, first.argv[-1], second.upstream) == ("2026", "true", ("1",))
    assert second.argv == ("python", "--lr", "0.10", "--fast", "True")
    assert workflow.variables["1"] == {"A": "True", "B": "0x10", "C": "1e3"}


def test_a_secret_is_in_neither_the_plan_nor_the_repr(tmp_path: Path) -> None:
    text = "steps: {hello: {command: echo, env: {TOKEN: '${SECRET}', KEY: plain-text-key}}}"
    workflow = load(tmp_path, text, {"SECRET": "s3cret"})
    assert workflow.variables["hello"] == {"TOKEN": "s3cret", "KEY": "plain-text-key"}
    for secret in ("s3cret", "plain-text-key"):
        assert secret not in repr(workflow)
        assert secret not in workflow.plan.to_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "workflow.yaml is empty; write keys and values, such as `steps:`"),
        ("- a", "workflow.yaml does not hold a mapping; write keys and values, such as `steps:`"),
        ("name: x", "workflow.yaml: `steps` is missing; add it: `steps: {hello: {command: echo hello}}`"),
        ("steps: {}", "workflow.yaml:1: steps: must have at least 1 item after validation, not 0"),
        ("steps: {a: {command: x, comand: y}}", "unknown key 'comand'; did you mean 'command'?"),
        ("nmae: x\nsteps: {a: {command: x}}", "workflow.yaml:1: nmae: unknown key 'nmae'; did you mean 'name'?"),
        ("steps:\n  a:\n    needs: []", "workflow.yaml:2: steps.a: `command` is missing"),
        ("steps: {a: {command: {b: c}}}", "steps.a.command: must be a shell command (text) or a list of arguments"),
        ("steps: {a: {command: []}}", "steps.a.command: must have at least 1 item"),
        ("steps: {a: {command: x, needs: [b]}}", "steps.a.needs[0]: there is no step 'b'; the steps are: a"),
        ("steps: {a: {command: x, needs: a}}", "steps: "),
        ("steps: {tran: {command: x}, b: {command: x, needs: train}}", "there is no step 'train'; did you mean 'tran'"),
        ("steps: {a: {command: x, machine: H101}}", "steps.a.machine: unknown machine 'H101'; did you mean H100"),
        ("steps: {a: {command: x, machine: [L4, L5]}}", "steps.a.machine[1]: unknown machine 'L5'"),
        ("steps: {a: {command: x, machine: {gpu_type: V101}}}", "there is no GPU 'V101'; the kinds are: T4, L4"),
        ("steps: {a: {command: x, machine: {}}}", "steps.a.machine: a request for a machine asks for nothing"),
        ("steps: {a: {command: x, machine: {gpu: 0, gpu_type: L4}}}", "asks for no GPU and for a kind of GPU"),
        ("steps: {a: {command: x, machine: {gpus: 1}}}", "machine.gpus: unknown key 'gpus'; did you mean 'gpu'"),
        ("steps: {a: {command: x, machine: {memory: much}}}", 'must be gigabytes, or a text such as "64GB"'),
        ("steps: {a: {command: x, timeout: 1:30}}", 'such as "90s", "15m" or "1h30m"; it is \'1:30\''),
        ("steps: {a: {command: x, timeout: 0}}", "steps.a.timeout: must be greater than 0; it is 0"),
        ("steps: {a: {command: x, timeout: .inf}}", "must be seconds"),
        ("budget: 0\nsteps: {a: {command: x}}", "budget: must be greater than 0; it is 0"),
        ("budget: much\nsteps: {a: {command: x}}", "budget: must be a number; it is"),
        ("steps: {a: {command: x, retries: -1}}", "steps.a.retries: must be greater than or equal to 0"),
        ("steps: {a: {command: x, retries: {count: 1, backof: 2}}}", "did you mean 'backoff'?"),
        ("steps: {a: {command: x, interruptible: yes}}", "must be true or false; it is 'yes'"),
        ("steps: {a: {command: x, retries: true}}", "must be a number of retries"),
        ("placement: jobs\nsteps: {a: {command: x}}", "placement: must be studio, job or platform; it is 'jobs'"),
        ("on_failure: fail-fast\nsteps: {a: {command: x}}", "must be continue, stop or fail_fast; it is 'fail-fast'"),
        ("max_parallelism: 0\nsteps: {a: {command: x}}", "must be greater than or equal to 1; it is 0"),
        ("machine_limits: {L5: 1}\nsteps: {a: {command: x}}", "machine_limits.L5: unknown machine 'L5'"),
        ("root: nowhere\nsteps: {a: {command: x}}", "nowhere is no folder; name the folder of your code"),
        ("env: {A-B: x}\nsteps: {a: {command: x}}", "env.A-B: is no name of a variable"),
        ("env: {A: }\nsteps: {a: {command: x}}", 'env.A: must be text or a number; write "" for an empty value'),
        ("env: {A: $HOME}\nsteps: {a: {command: x}}", "env.A: a lone $; write $$ for a dollar, or ${NAME}"),
        ("env:\n  A: '${NOT_SET}'\nsteps: {a: {command: x}}", "workflow.yaml:2: env.A: the environment has no NOT_SET"),
        ("requirements: none.txt\nsteps: {a: {command: x}}", "none.txt cannot be read: No such file"),
        ("requirements:\n - numpy\n - n ? p\nsteps: {a: {command: x}}", 'yaml:3: requirements[1]: cannot parse'),
        ("steps:\n  a: {command: x}\n  a: {command: y}", "yaml:3: steps: key 'a' is there twice, first in line 2"),
        ("steps: {a: {command: x, needs: [b]}, b: {command: x, needs: [a]}}", "steps: the graph has a cycle"),
        ("steps:\n  a: {command: x\n  b: }", "workflow.yaml:3: this is no YAML"),
        ("steps: {a: {command: x}}\n---\nsteps: {}", "this is no YAML: but found another document"),
        ("steps: &a\n  b: *a", "an alias stands for something that holds the alias itself"),
        ("steps: {a: {command: !!binary eA==}}", "the tag 'tag:yaml.org,2002:binary' is not understood"),
        ("? [a]\n: x", "a key must be text"),
        ('steps: {"a\\nb": {command: x}}', "must be printable text"),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_where_it_stands_with_what_to_do(tmp_path: Path, text: str, message: str) -> None:
    (line,) = refused(tmp_path, text)
    assert message in line
    assert line.startswith("workflow.yaml")


def test_all_mistakes_are_shown_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
    machine: L5
    steps:
      a:
        command: x
        needs: [c]
      b:
        command: x
        machine: L6
    """
    assert [line.split(":")[1] for line in refused(tmp_path, text)] == ["1", "5", "8"]


def test_a_requirements_file_that_does_not_parse_is_shown_by_file_line_and_text(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("numpy\nscipy ~ 1\n")
    (line,) = refused(tmp_path, "requirements: requirements.txt\nsteps: {a: {command: x}}")
    assert 'requirements.txt:2: cannot parse the requirement "scipy ~ 1"' in line


def test_requirements_that_cannot_hold_together_are_shown_with_both_lines(tmp_path: Path) -> None:
    text = """\
    requirements:
      - scipy
      - numpy==1.26
    steps:
      a:
        command: x
        requirements: [numpy>=2]
    """
    (line,) = refused(tmp_path, text)
    assert '"numpy==1.26" (workflow.yaml:3) and "numpy>=2" (workflow.yaml:7) cannot hold together' in line


def test_includes_of_a_requirements_file_are_found_from_any_working_folder(tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text("numpy\n")
    (tmp_path / "requirements.txt").write_text("-r base.txt\n")
    workflow = load(tmp_path, "requirements: requirements.txt\nsteps: {a: {command: x}}")
    ((name, _),) = workflow.plan.steps[0].requirements
    assert Path(name) == tmp_path / "requirements.txt"


def test_values_of_variables_are_not_shown_in_errors(tmp_path: Path) -> None:
    text = "env: {A: 'hunter2 $x', B: [hunter2]}\nsteps: {a: {command: x}}"
    assert "hunter2" not in "".join(refused(tmp_path, text))
    assert "hunter2" not in "".join(refused(tmp_path, text.replace(", B: [hunter2]", "")))


def test_nested_aliases_do_not_fill_the_memory(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    (line,) = refused(tmp_path, bomb)
    assert "more than 100000 values; are there nested aliases?" in line


OFFERS = [
    MachineOffer("CPU", 0.2, 0.08, 4, 16),
    MachineOffer("L4", 0.7, 0.28, 8, 32, 1, "L4", 24),
    MachineOffer("L4_X_2", 1.4, 0.56, 16, 64, 2, "L4", 24),
    MachineOffer("L4_X_4", 2.8, 1.12, 32, 128, 4, "L4", 24),
    MachineOffer("L4_X_8", 5.6, None, 64, 256, 8, "L4", 24),
]


def test_requests_become_the_cheapest_machines_with_few_to_fall_back_to(tmp_path: Path) -> None:
    text = "machine: {cpu: 1}\nsteps: {a: {command: x, machine: {gpu_type: L4}}, b: {command: x, machine: CPU}}"
    workflow = load(tmp_path, text)
    assert workflow.needs_offers
    resolved = resolve_machines(workflow, OFFERS)
    assert not resolved.needs_offers
    assert resolved.plan.main_machine == "CPU"
    assert [step.machines for step in resolved.plan.steps] == [("L4", "L4_X_2", "L4_X_4"), ("CPU",)]


def test_a_cloud_account_is_the_only_one_whose_machines_count(tmp_path: Path) -> None:
    request = "{command: x, machine: {gpu_type: L4}}"
    offers = [replace(offer, cloud_account="near" if offer.gpus < 4 else "far") for offer in OFFERS]
    workflow = load(tmp_path, f"cloud_account: far\nsteps: {{a: {request}}}")
    assert workflow.plan.cloud_account == "far"
    assert resolve_machines(workflow, offers).plan.steps[0].machines == ("L4_X_4", "L4_X_8")
    anywhere = load(tmp_path, f"steps: {{a: {request}}}")
    assert anywhere.plan.cloud_account is None
    assert resolve_machines(anywhere, offers).plan.steps[0].machines == ("L4", "L4_X_2", "L4_X_4")
    (line,) = refused(tmp_path, f'cloud_account: "two\\nlines"\nsteps: {{a: {request}}}')
    assert "cloud_account" in line


def test_a_request_that_nothing_satisfies_names_the_step_and_what_is_near(tmp_path: Path) -> None:
    workflow = load(tmp_path, "steps: {big: {command: x, machine: {gpu: 16, gpu_type: L4}}}")
    with pytest.raises(PlanError, match=r"step 'big': no machine has 16 L4; the nearest are L4_X_8 \(has 8 GPUs\)"):
        resolve_machines(workflow, OFFERS)


def test_the_example_of_the_documentation_loads(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "workflow-file.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "requirements.txt").write_text("numpy\n")
    workflow = load(tmp_path, example, {"WANDB_API_KEY": "key"})
    assert [step.name for step in workflow.plan.steps] == ["load", "train-small", "train-large", "report"]
    assert workflow.plan.step("train-small").retry == Retry(2, 30.0, 2.0)
    assert workflow.variables["load"] == {"WANDB_API_KEY": "key", "REGION": "eu"}


def test_the_documentation_has_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "workflow-file.md").read_text(encoding="utf-8")
    missing = [
        key
        for model in (WorkflowDocument, StepDocument, Resources)
        for key in model.model_fields
        if f"`{key}`" not in page
    ]
    assert missing == []


def test_a_missing_library_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("lightning_native.") and "workflow" in name]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("lightning_native.cli.plan", "lightning_native.user_input.yaml_document"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert main(["plan", "workflow.yaml"]) == 1
    assert "install it with: pip install 'lightning-native[engine]'" in capsys.readouterr().err
