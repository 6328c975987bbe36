"""A runtime keeps its values as written, whichever way it was created."""

from pathlib import Path

import pytest
import yaml

from lightning_native.errors import JobError
from lightning_native.jobs import (
    ContainerRuntime,
    DataScienceJob,
    GitPythonRuntime,
    Job,
    Lightning,
    NotebookRuntime,
    PythonRuntime,
    PyTorchDistributedRuntime,
    ScriptRuntime,
    load_job,
    runtime_from_spec,
)

EVERYTHING = """\
kind: job
apiVersion: v1
spec:
  id: ocid1.job
  name: my job
  infrastructure:
    kind: infrastructure
    type: dataScienceJob
    spec: {shapeName: VM.Standard.E3.Flex, shapeConfigDetails: {ocpus: 1, memoryInGBs: 16}, mine: 1}
  runtime:
    kind: runtime
    type: python
    spec:
      scriptPathURI: code
      args: [1, null, 'a b']
      env: [{name: A, value: '${B}'}, {name: B, value: 1}]
      unknown: {a: [1]}
"""


def test_a_file_is_written_as_it_was_read() -> None:
    assert yaml.safe_load(load_job(EVERYTHING).to_yaml()) == yaml.safe_load(EVERYTHING)


def test_a_job_is_read_from_a_file_and_from_its_text(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(EVERYTHING)
    assert load_job(path) == load_job(str(path)) == load_job(EVERYTHING)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"no\.yaml cannot be read"):
        load_job(tmp_path / "no.yaml")


def test_text_that_is_no_job_is_refused_as_ads_refuses_it() -> None:
    for text, error in (
        ("kind: [\n", yaml.YAMLError),
        ("nothing", ValueError),
        ("", ValueError),
        ("{}", AttributeError),
    ):
        with pytest.raises(error):
            load_job(text)


def test_builders_write_what_a_file_would() -> None:
    python = (
        PythonRuntime()
        .with_service_conda("pytorch110_p38_cpu_v1")
        .with_source("code_dir")
        .with_entrypoint("pkg/main.py", "run")
        .with_working_dir("code_dir")
        .with_python_path("other")
        .with_output("out", "oci://b@n/p")
        .with_argument("arg1", key="arg2", flag=None)
        .with_argument("last")
        .with_environment_variable(A="1", B="2")
        .with_environment_variable(B="3")
        .with_freeform_tag(team="x")
        .with_defined_tag(Operations={"CostCenter": "42"})
        .with_maximum_runtime_in_minutes(5)
    )
    assert python.to_dict() == {
        "kind": "runtime",
        "type": "python",
        "spec": {
            "conda": {"type": "service", "slug": "pytorch110_p38_cpu_v1"},
            "scriptPathURI": "code_dir",
            "entrypoint": "pkg/main.py",
            "entryFunction": "run",
            "workingDir": "code_dir",
            "pythonPath": ["other"],
            "outputDir": "out",
            "outputUri": "oci://b@n/p",
            "args": ["arg1", "--key", "arg2", "--flag", "last"],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}],
            "freeformTags": {"team": "x"},
            "definedTags": {"Operations": {"CostCenter": "42"}},
            "maximumRuntimeInMinutes": 5,
        },
    }
    script = ScriptRuntime().with_source("folder", "run.sh").with_custom_conda("oci://b@n/c", "r")
    assert script.to_spec() == {
        "scriptPathURI": "folder",
        "entrypoint": "run.sh",
        "conda": {"type": "published", "uri": "oci://b@n/c", "region": "r"},
    }
    notebook = NotebookRuntime().with_source("f", "a.ipynb").with_exclude_tag("x", "y").with_output("u")
    assert notebook.to_spec() == {
        "source": "f",
        "entrypoint": "a.ipynb",
        "notebookEncoding": "utf-8",
        "excludeTags": ["x", "y"],
        "outputUri": "u",
    }
    assert NotebookRuntime().with_notebook("a.ipynb").to_spec() == {
        "notebookPathURI": "a.ipynb",
        "notebookEncoding": "utf-8",
    }
    git = GitPythonRuntime().with_source("u", "b", None, "s").with_entrypoint("e.py")
    assert git.to_spec() == {"url": "u", "branch": "b", "gitSecretId": "s", "entrypoint": "e.py"}
    container = ContainerRuntime().with_image("i:1").with_entrypoint(["/bin/sh", "-c"]).with_cmd("x").with_replica(2)
    assert container.with_image("i:2").to_spec() == {
        "image": "i:2",
        "entrypoint": ["/bin/sh", "-c"],
        "cmd": "x",
        "replicas": 2,
    }
    torch = (
        PyTorchDistributedRuntime()
        .with_git("u", commit="c")
        .with_inputs({"a": "b"})
        .with_dependency(pip_pkg="p")
        .with_command("torchrun t.py", use_deepspeed=True)
        .with_replica(2)
    )
    assert torch.to_spec() == {
        "git": {"url": "u", "commit": "c"},
        "inputs": {"a": "b"},
        "dependencies": {"pipPackages": "p"},
        "command": "torchrun t.py",
        "deepspeed": True,
        "replicas": 2,
    }


def test_builders_refuse_what_cannot_be_meant() -> None:
    with pytest.raises(ValueError, match="blank"):
        ScriptRuntime().with_argument(**{"a b": 1})
    with pytest.raises(ValueError, match="absolute"):
        PythonRuntime().with_python_path("/a")


def test_python_names_stand_for_the_keys_of_the_file() -> None:
    one = ScriptRuntime(script_path_uri="a.py", env={"A": "1"})
    other = runtime_from_spec("script", {"scriptPathURI": "a.py", "env": [{"name": "A", "value": "1"}]})
    assert one == other
    assert DataScienceJob(shape_name="s").to_spec() == {"shapeName": "s"}
    assert NotebookRuntime(outputURI="u").output_uri == "u"


def test_values_of_variables_are_not_shown() -> None:
    assert "hidden" not in repr(Job(runtime=ScriptRuntime(env={"A": "hidden"})))


def test_keys_without_a_meaning_are_kept_and_told() -> None:
    runtime = runtime_from_spec("script", {"replicas": 3, "maximum_runtime_in_minutes": 5})
    assert runtime.unknown_keys == ("replicas", "maximum_runtime_in_minutes")
    assert runtime.to_spec() == {"replicas": 3, "maximum_runtime_in_minutes": 5}


def test_a_job_is_put_together_in_python() -> None:
    job = Job(name="n", runtime=ScriptRuntime().with_script("a.py"), infrastructure=Lightning(machine="L4"))
    assert load_job(job.to_yaml()) == job
