"""A job file as a job of Lightning, with a warning for each difference."""

from typing import Any

import pytest

from lightning_native.errors import JobError, UnknownMachineError
from lightning_native.jobs import DataScienceJob, Job, Lightning, lightning, runtime_from_spec
from lightning_native.jobs.lightning import LightningJobSpec, Substitutes
from lightning_native.lightning.machines import canonical_machine


def spec_of(kind: str, substitutes: Substitutes | None = None, /, **spec: Any) -> LightningJobSpec:
    return lightning.translate(runtime_from_spec(kind, spec), substitutes=substitutes)


def on(shape: str, **details: Any) -> LightningJobSpec:
    infrastructure = DataScienceJob.from_spec({"shapeName": shape, "shapeConfigDetails": details})
    runtime = runtime_from_spec("script", {"scriptPathURI": "a.py"})
    return lightning.translate(Job(runtime=runtime, infrastructure=infrastructure))


@pytest.mark.parametrize(
    ("shape", "machine"),
    [
        ("VM.GPU.A10.1", "L4"),
        ("VM.GPU.A10.2", "L4_X_2"),
        ("BM.GPU.A10.4", "L4_X_4"),
        ("VM.GPU2.1", "T4"),
        ("VM.GPU3.8", "T4_X_8"),
        ("BM.GPU4.8", "A100_40GB_X_8"),
        ("BM.GPU.A100-v2.8", "A100_80GB_X_8"),
        ("BM.GPU.H100.8", "H100_X_8"),
        ("BM.GPU.B200.8", "B200_X_8"),
        ("BM.GPU.L40S-NC.4", "L40S_X_4"),
        ("VM.Standard2.1", "CPU_X_2"),
        ("VM.Standard2.24", "DATA_PREP_MAX"),
    ],
)
def test_shapes_have_the_machine_that_is_nearest(shape: str, machine: str) -> None:
    assert on(shape).machine == machine == canonical_machine(machine)


@pytest.mark.parametrize(
    ("ocpus", "machine"), [(1, "CPU_X_2"), (4, "CPU_X_8"), (5, "CPU_X_16"), (48, "DATA_PREP_ULTRA")]
)
def test_a_flexible_shape_gets_at_least_its_cpus(ocpus: int, machine: str) -> None:
    assert on("VM.Standard.E4.Flex", ocpus=ocpus).machine == machine


def test_a_machine_that_is_not_the_same_is_told() -> None:
    assert any("bandwidth" in warning for warning in on("VM.GPU.A10.1").warnings)
    assert any("16 GB" in warning for warning in on("VM.Standard.E3.Flex", ocpus=1, memoryInGBs=16).warnings)
    assert any("Arm" in warning for warning in on("VM.Standard.A1.Flex", ocpus=2).warnings)
    assert on("BM.GPU.H100.8").warnings == ()


@pytest.mark.parametrize("shape", ["BM.GPU.MI300X.8", "BM.GPU.GB200.4", "VM.Something", "BM.Standard3.64"])
def test_a_shape_without_a_machine_is_refused(shape: str) -> None:
    with pytest.raises(JobError, match=shape):
        on(shape)


def test_nothing_of_an_infrastructure_is_dropped_in_silence() -> None:
    given = {
        "compartmentId": "c",
        "projectId": "p",
        "subnetId": "s",
        "logId": "l",
        "logGroupId": "g",
        "jobInfrastructureType": "STANDALONE",
        "blockStorageSize": 50,
        "storageMount": [{"src": "a", "dest": "b"}],
        "freeformTags": {"team": "x"},
    }
    runtime = runtime_from_spec("script", {"scriptPathURI": "a.py", "mystery": 1, "definedTags": {"o": {"c": 1}}})
    spec = lightning.translate(Job(runtime=runtime, infrastructure=DataScienceJob.from_spec(given)))
    warnings = "\n".join(spec.warnings)
    for word in [*given, "definedTags", "mystery", "shapeName"]:
        assert word in warnings or word == "freeformTags", word
    assert spec.tags == ("team:x",)


def test_our_own_infrastructure_names_machine_and_studio() -> None:
    infrastructure = Lightning(machine="l4", studio="mine", interruptible=True)
    runtime = runtime_from_spec("script", {"scriptPathURI": "a.py"})
    spec = lightning.translate(Job(name="My Job!", runtime=runtime, infrastructure=infrastructure))
    assert (spec.machine, spec.studio, spec.interruptible) == ("L4", "mine", True)
    assert spec.name.startswith("my-job")
    with pytest.raises(UnknownMachineError):
        lightning.translate(Job(runtime=runtime, infrastructure=Lightning(machine="L5")))
    with pytest.raises(JobError, match="one of them"):
        lightning.translate(Job(runtime=runtime, infrastructure=Lightning(studio="a", image="b")))
    with pytest.raises(JobError, match="into an image"):
        lightning.translate(Job(runtime=runtime, infrastructure=Lightning(image="b")))


def test_what_stands_for_a_conda_environment_and_a_secret_is_used() -> None:
    substitutes = Substitutes(conda={"pytorch": "torch-studio"}, secrets={"ocid1.vaultsecret.x": "GIT_KEY"})
    spec = spec_of(
        "gitPython",
        substitutes,
        url="git@h:o/r.git",
        entrypoint="a.py",
        conda={"type": "service", "slug": "pytorch"},
        gitSecretId="ocid1.vaultsecret.x",
        skipMetadataUpdate=True,
    )
    assert spec.studio == "torch-studio"
    assert spec.env["LIGHTNING_NATIVE_JOB_KEY"] == "GIT_KEY"
    assert spec.warnings == ()


def test_what_has_no_substitute_is_told() -> None:
    conda = {"type": "service", "slug": "pytorch"}
    spec = spec_of("gitPython", url="u", entrypoint="a.py", conda=conda, gitSecretId="ocid1.vaultsecret.x")
    assert "LIGHTNING_NATIVE_JOB_KEY" not in spec.env
    assert any("commit" in warning for warning in spec.warnings)
    assert any("pytorch" in warning for warning in spec.warnings)
    assert any("ocid1.vaultsecret.x" in warning for warning in spec.warnings)


def test_variables_are_substituted_and_the_names_of_the_platform_refused() -> None:
    spec = spec_of("script", scriptPathURI="a.py", env=[{"name": "A", "value": "x"}, {"name": "B", "value": "${A} $$"}])
    assert {name: spec.env[name] for name in ("A", "B")} == {"A": "x", "B": "x $"}
    for name in ("NODE_RANK", "MASTER_ADDR", "LIGHTNING_NATIVE_JOB"):
        with pytest.raises(JobError, match=name):
            spec_of("script", scriptPathURI="a.py", env={name: "1"})


@pytest.mark.parametrize("value", ["hidden ${", "hidden ${a:b:c}", "hidden ${A}"])
def test_a_mistake_in_a_variable_does_not_show_its_value(value: str) -> None:
    with pytest.raises(JobError, match="A") as error:
        spec_of("script", scriptPathURI="a.py", env={"A": value})
    assert "hidden" not in str(error.value)


def test_what_looks_like_a_secret_is_told() -> None:
    spec = spec_of("script", scriptPathURI="a.py", env={"MY_API_KEY": "x"})
    assert any("MY_API_KEY" in warning and "secret of the teamspace" in warning for warning in spec.warnings)


@pytest.mark.parametrize(
    ("kind", "spec", "words"),
    [
        ("script", {}, "scriptPathURI"),
        ("script", {"scriptPathURI": "oci://b@n/a.py"}, "oci://b@n/a.py"),
        ("script", {"scriptPathURI": "a.py", "env": [{"name": "A"}]}, "env"),
        ("script", {"scriptPathURI": "a.py", "env": [{"name": "A", "value": "${"}]}, "not closed"),
        ("script", {"scriptPathURI": "a.py", "maximumRuntimeInMinutes": "soon"}, "maximumRuntimeInMinutes"),
        ("notebook", {"source": "folder"}, "notebook"),
        ("gitPython", {"url": "u"}, "entrypoint"),
        ("gitPython", {"url": "u", "entrypoint": "e", "gitSecretId": "a b"}, "secret"),
        ("container", {}, "image"),
        ("container", {"image": "i", "cmd": "it's"}, "words"),
        ("pyTorchDistributed", {"command": "torchrun a.py"}, "code"),
        ("pyTorchDistributed", {"git": {"url": "u"}}, "launch"),
        ("pyTorchDistributed", {"scriptPathURI": "a", "replicas": "2"}, "replicas"),
        ("conda", {}, "conda"),
    ],
)
def test_a_runtime_that_cannot_run_is_refused_with_its_reason(kind: str, spec: dict[str, Any], words: str) -> None:
    with pytest.raises(JobError, match=words):
        spec_of(kind, **spec)


@pytest.mark.parametrize(
    ("spec", "entrypoint", "command"),
    [
        ({}, None, None),
        ({"cmd": "echo 'a b'"}, "", "echo 'a b'"),
        ({"cmd": ["echo", "a b"]}, "", "echo 'a b'"),
        ({"entrypoint": "/bin/run"}, "/bin/run", None),
        ({"entrypoint": ["/bin/run", "-x"], "cmd": ["a b"], "args": ["c"]}, "/bin/run -x", "'a b' c"),
        ({"entrypoint": ["/bin/sh", "-c"], "cmd": ["echo a, b && ls"]}, "/bin/sh -c", "echo a, b && ls"),
        ({"entrypoint": ["/bin/sh", "-c"], "cmd": "echo a"}, "/bin/sh -c", "echo a"),
        (
            {"entrypoint": ["bash", "-c"], "cmd": ["echo $0"], "args": ["x"]},
            "/bin/sh -c",
            "exec bash -c 'echo $0' x",
        ),
    ],
)
def test_a_container_runs_the_words_it_was_given(
    spec: dict[str, Any], entrypoint: str | None, command: str | None
) -> None:
    translated = spec_of("container", image="i:1", replicas=2, **spec)
    assert (translated.entrypoint, translated.command) == (entrypoint, command)
    assert (translated.image, translated.studio, translated.num_machines) == ("i:1", None, 2)


def test_a_time_limit_is_in_the_command_that_lightning_runs() -> None:
    assert "timeout --kill-after=30 90 python3" in str(
        spec_of("script", scriptPathURI="a.py", maximumRuntimeInMinutes=1.5).command
    )
