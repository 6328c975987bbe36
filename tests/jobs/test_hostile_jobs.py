"""Job files that are small and would hang, fill the memory or end in a traceback: each is one clear error."""

import os
from configparser import InterpolationError
from pathlib import Path

import pytest

from lightning_native.cli import main
from lightning_native.errors import JobError
from lightning_native.jobs import lightning, runtime_from_spec
from lightning_native.jobs.driver.repository import git_environment
from lightning_native.jobs.lightning.description import read_description
from lightning_native.jobs.variables import environment_variables


def nested(line: str) -> str:
    lines = ["x0: &a0 {k0: 1}"]
    lines += [f"x{n}: &a{n} {line.format(', '.join([f'*a{n - 1}'] * 9))}" for n in range(1, 10)]
    return "\n".join(lines) + "\n"


def job(spec: str, kind: str = "python") -> str:
    return f"kind: job\nspec: {{runtime: {{kind: runtime, type: {kind}, spec: {spec}}}}}\n"


def each_contains_the_one_before(count: int) -> str:
    variables = [f"{{name: V{n}, value: '{f'${{V{n - 1}}}' * 10}'}}" for n in range(1, count)]
    return f"[{{name: V0, value: x}}, {', '.join(variables)}]"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (nested("{{<<: [{}]}}"), "more than 100000 values"),
        (nested("[{}]"), "more than 100000 values"),
        (nested("[{}]") + job("{scriptPathURI: a.py, args: *a9}"), "more than 100000 values"),
        ("&a [*a]", "holds it"),
        ("[" * 300_000, "nested more than 100 deep"),
        ("x: [" + "a," * 400_000 + "]", "more than 100000 values"),
        ("# " + "x" * (1 << 20), "more than 1 MiB"),
        (job("{scriptPathURI: a.py, env: " + each_contains_the_one_before(12) + "}"), "longer than Linux takes"),
        (job("{scriptPathURI: a.py, env: " + each_contains_the_one_before(8) + "}"), "longer than Linux takes"),
        (job('{scriptPathURI: "a\\0.py"}'), "scriptPathURI has a NUL"),
        (job('{scriptPathURI: a.py, args: [x, "\\ud800"]}'), "args[1] has half a character"),
        (job('{scriptPathURI: a.py, workingDir: "\\0"}'), "workingDir has a NUL"),
        (job('{scriptPathURI: a.py, env: [{name: "A\\0", value: x}]}'), "env[0].name has a NUL"),
        (job('{scriptPathURI: a.py, env: {A: "\\ud800"}}'), "half a character"),
        (job('{image: "x\\0"}', "container"), "image has a NUL"),
        (job("{scriptPathURI: " + "a" * 5000 + "}"), "cannot be looked for: File name too long"),
        (job("{scriptPathURI: ~nosuchuser/a.py}"), "cannot be looked for"),
        (job("{scriptPathURI: a.py, maximumRuntimeInMinutes: .inf}"), "maximumRuntimeInMinutes"),
        (job("{scriptPathURI: a.py, maximumRuntimeInMinutes: .nan}"), "maximumRuntimeInMinutes"),
        (job("{scriptPathURI: a.py, maximumRuntimeInMinutes: 1e300}"), "maximumRuntimeInMinutes"),
        (job("{image: x, replicas: 1000000000}", "container"), "replicas"),
        (job("{scriptPathURI: a.py, args: [2024-13-45]}"), "month"),
        (job("{scriptPathURI: a.py, args: [!!int '']}"), "remove the tag"),
        (job("{scriptPathURI: a.py, args: [!!bool x]}"), "remove the tag"),
        (job("{scriptPathURI: a.py, args: [!!timestamp x]}"), "remove the tag"),
        (
            job("{scriptPathURI: a.py, args: [!!python/object/apply:os.system [x]]}"),
            "could not determine a constructor",
        ),
        (job("{scriptPathURI: a.py, args: [" + "9" * 5000 + "]}"), "digits"),
    ],
)
def test_plan_refuses_what_cannot_be(
    tmp_path: Path, text: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "job.yaml").write_text(text)
    assert main(["job", "plan", str(tmp_path / "job.yaml")]) == 1
    errors = capsys.readouterr().err
    assert problem in errors
    assert "job.yaml" in errors
    assert "Traceback" not in errors
    assert len(errors) < 5000


@pytest.mark.parametrize("kind", ["/dev/zero", "a pipe", "a folder"])
def test_a_job_is_a_regular_file(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    named = Path(kind) if kind.startswith("/") else tmp_path / "named"
    if kind == "a pipe":
        os.mkfifo(named)
    elif kind == "a folder":
        named.mkdir()
    assert main(["job", "plan", str(named)]) == 1
    errors = capsys.readouterr().err
    assert ("it is a folder" if kind == "a folder" else "no regular file") in errors


def test_a_binary_job_file_and_one_with_a_byte_order_mark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "job.yaml"
    path.write_bytes(job("{scriptPathURI: a.py}").encode("utf-16"))
    assert main(["job", "plan", str(path)]) == 1
    assert "not UTF-8 text" in capsys.readouterr().err
    path.write_bytes(b"\xef\xbb\xbf" + job("{scriptPathURI: a.py}").encode())
    assert main(["job", "plan", str(path)]) == 0


def test_variables_that_contain_each_other_end_for_every_dialect() -> None:
    variables = {f"V{n}": f"${{V{n + 1}}}" * 10 for n in range(8)} | {"V8": ""}
    with pytest.raises(InterpolationError, match="V0 is longer than Linux takes"):
        environment_variables(variables)


def test_a_job_made_in_python_is_checked_too() -> None:
    for spec in ({"scriptPathURI": "a.py", "args": ["\0"]}, {"scriptPathURI": "a.py", "env": {"A": "\ud800"}}):
        with pytest.raises(JobError, match=r"NUL|half"):
            lightning.translate(runtime_from_spec("python", spec))


def test_a_description_that_is_too_deep_is_an_error_of_ours() -> None:
    with pytest.raises(JobError, match="cannot be read"):
        read_description("[" * 100_000)


def test_git_neither_asks_nor_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIGHTNING_NATIVE_JOB_KEY", raising=False)
    monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)
    with git_environment() as environment:
        assert environment["GIT_TERMINAL_PROMPT"] == "0"
        assert float(environment["GIT_HTTP_LOW_SPEED_TIME"]) > 0
        assert "BatchMode=yes" in environment["GIT_SSH_COMMAND"]
        assert "ConnectTimeout" in environment["GIT_SSH_COMMAND"]
