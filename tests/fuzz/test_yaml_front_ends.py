"""A workflow file, a job file or a payload of any content ends in a plan or in an error of ours.

FUZZ_SECONDS is the time that each front end is tested; without it, it reads a few examples.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from configparser import InterpolationError
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lightning_native.errors import LightningNativeError
from lightning_native.jobs import lightning, load_job, oci
from lightning_native.jobs.lightning.description import VARIABLE, read_description
from lightning_native.jobs.step import step_command
from lightning_native.workflow.loader import load_workflow

ROOT = Path(__file__).parents[2]
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
# The documented errors for mistakes in jobs, which are those of ADS.
OF_A_JOB = (
    LightningNativeError,
    yaml.YAMLError,
    ValueError,
    AttributeError,
    NotImplementedError,
    TypeError,
    KeyError,
    InterpolationError,
)
WORKFLOWS = [
    (ROOT / "examples" / "workflow.yaml").read_text(),
    """
x-common: &common {retries: {count: 2, delay: 5s, backoff: 2}, timeout: 1h30m}
placement: platform
env: {A: "${HOME:-x} $$", B: 1.10}
machine: {cpu: 8, memory: 32GB}
machine_limits: {L4: 2}
schedule: {cron: "0 2 * * *", timezone: Europe/Zurich}
requirements: [numpy>=1, "x @ git+https://${TOKEN}@h/x.git"]
setup: [make]
steps:
  a: {<<: *common, command: [x, y], machine: [L4, A100], env: {A: b}}
  b: {runtime: {type: gitPython, spec: {url: "https://h/x.git", entrypoint: a.py}}, needs: a, machine: {gpu: 1}}
""",
]
JOBS = [path.read_text() for path in sorted((ROOT / "examples" / "jobs").glob("*.yaml"))]

NUMBERS = [".inf", ".nan", "-1", "1e999", "9" * 400, "2024-13-45", "0o7"]
MARKS = ["", "\0", "\ud800", "\ufeff", "~", "[", "{", "- ", ": ", "'", '"', "|", "\n", "\t", "\x85", "[" * 200]
WORDS = [
    "${A}",
    "${",
    "$",
    "&a",
    "*a",
    "<<",
    "!!int",
    "!!python/name:os.system",
    "https://u:p@h/",
    "../..",
    "/dev/zero",
]
awkward = st.sampled_from([*NUMBERS, *MARKS, *WORDS, "~nobody/x", "-r x", "--index-url", "a" * 2000, "ocid1.x"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | awkward | st.dates()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | awkward, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def texts(draw: st.DrawFn, examples: list[str]) -> bytes:
    """Draw an example with pieces inserted, removed or repeated, or any bytes."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    text = draw(st.sampled_from(examples))
    for _ in range(draw(st.integers(1, 4))):
        begin, length = draw(st.integers(0, len(text))), draw(st.integers(0, 12))
        piece = draw(awkward | st.text(max_size=6) | st.just(text[begin : begin + length] * 2))
        text = text[:begin] + piece + text[begin + length :]
    return text.encode("utf-8", "surrogatepass")


@st.composite
def documents(draw: st.DrawFn, examples: list[Any]) -> Any:
    """Draw an example with some of its values replaced by others."""
    document = draw(st.sampled_from(examples))
    for _ in range(draw(st.integers(1, 4))):
        document = changed(draw, document)
    return document


def changed(draw: st.DrawFn, value: Any) -> Any:
    if not isinstance(value, (dict, list)) or not value or draw(st.integers(0, 4)) == 0:
        return draw(values)
    if isinstance(value, list):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], changed(draw, value[index]), *value[index + 1 :]]
    key = draw(st.sampled_from(sorted(value, key=str)))
    rest = {name: item for name, item in value.items() if name != key}
    what = draw(st.integers(0, 9))
    if what == 0:
        return rest
    return {**rest, draw(st.text(max_size=6) | awkward) if what == 1 else key: changed(draw, value[key])}


def written(document: Any) -> bytes:
    text: str = yaml.dump(document, Dumper=yaml.SafeDumper, allow_unicode=True)
    return text.encode("utf-8", "surrogatepass")


def fuzz(strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """Check a few examples, or examples for FUZZ_SECONDS."""
    options: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}
    end = time.monotonic() + SECONDS
    while True:
        examples = 500 if SECONDS else 30
        phases = [Phase.generate, Phase.shrink]
        settings(max_examples=examples, phases=phases, derandomize=not SECONDS, **options)(given(strategy)(check))()
        if time.monotonic() >= end:
            return


def in_time(action: Callable[[], object]) -> None:
    """Run an action that takes less than a moment, and fail if it hangs, instead of hanging with it."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(120)
    assert not thread.is_alive(), "it hangs"
    if failures:
        raise failures[0]


def read_workflow(path: Path) -> None:
    try:
        load_workflow(path, environment={"A": "b"}, translate_runtime=step_command).plan.to_json()
    except LightningNativeError as error:
        # Each error names the file; the test is that there is no other exception.
        assert str(error).startswith(str(path))  # noqa: PT017


def read_job(path: Path) -> None:
    try:
        job = load_job(path)
    except OF_A_JOB:
        return
    try:
        spec = lightning.translate(job)
    except LightningNativeError:
        pass
    else:
        assert lightning.extract_job(spec).to_dict() is not None
        json.dumps(spec.arguments)
    with suppress(*OF_A_JOB):
        oci.translate_job(job, region="x")
    job.to_yaml()


@pytest.mark.parametrize("kind", ["text", "document"])
def test_workflows(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "workflow.yaml"
    parsed = documents([yaml.safe_load(text) for text in WORKFLOWS]).map(written)

    def check(content: bytes) -> None:
        path.write_bytes(content)
        in_time(lambda: read_workflow(path))

    fuzz(texts(WORKFLOWS) if kind == "text" else parsed, check)


@pytest.mark.parametrize("kind", ["text", "document"])
def test_jobs(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "job.yaml"
    parsed = documents([yaml.safe_load(text) for text in JOBS]).map(written)

    def check(content: bytes) -> None:
        path.write_bytes(content)
        in_time(lambda: read_job(path))

    fuzz(texts(JOBS) if kind == "text" else parsed, check)


def test_payloads() -> None:
    payloads = []
    for text in JOBS:
        try:
            payloads.append(oci.translate_job(load_job(text), region="us-ashburn-1"))
        except OF_A_JOB:
            continue

    def check(payload: Any) -> None:
        def read() -> None:
            with suppress(*OF_A_JOB):
                oci.extract(payload)

        in_time(read)

    assert payloads
    fuzz(documents(payloads), check)


def test_descriptions_of_jobs_that_run() -> None:
    specs = [lightning.translate(load_job(text)) for text in JOBS]

    def check(text: bytes) -> None:
        def read() -> None:
            with suppress(LightningNativeError):
                read_description(text.decode("utf-8", "surrogateescape")).to_yaml()

        in_time(read)

    described = [spec.env[VARIABLE] for spec in specs]
    fuzz(texts(described), check)
