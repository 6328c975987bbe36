"""The dialect `oci` gives the recorded result of Oracle ADS in every recorded case."""

import json
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import pytest

from lightning_native.jobs import Runtime, load_job, oci, runtime_from_spec

RECORDED = json.loads((Path(__file__).parent / "fixtures" / "job_runtimes.json").read_text())
CASES = RECORDED["cases"]


def cases(operation: str) -> pytest.MarkDecorator:
    chosen = [case for case in CASES if case["op"] == operation]
    assert chosen
    return pytest.mark.parametrize("case", chosen, ids=[case["name"] for case in chosen])


def here(value: Any) -> Any:
    """Return a recorded value, with this process's working folder in place of the recorded one."""
    return json.loads(json.dumps(value).replace("<CWD>", str(Path.cwd())))


def described(runtime: Runtime) -> dict[str, Any]:
    """Return a runtime in the form in which it is compared: the order of its variables does not count."""
    specification = runtime.to_spec()
    return {"type": runtime.kind, "spec": comparable(specification)}


def comparable(specification: dict[str, Any]) -> dict[str, Any]:
    if "env" not in specification:
        return specification
    return {**specification, "env": {item["name"]: item["value"] for item in specification["env"]}}


def region_of(case: dict[str, Any]) -> str | None:
    return case.get("auth_region", "us-ashburn-1")


def assert_same(expected: dict[str, Any], action: Callable[[], Runtime]) -> None:
    if "error" in expected:
        assert error_of(action) == expected["error"]["type"]
    else:
        assert described(action()) == {**expected, "spec": comparable(expected["spec"])}


def error_of(action: Callable[[], object]) -> str:
    with pytest.raises(Exception) as error:  # noqa: PT011  the test compares its type
        action()
    assert str(error.value), "an error says what is wrong"
    return type(error.value).__name__


def uploaded_name(artifact: dict[str, Any]) -> str:
    """Return the name that ADS gives to the file it uploads."""
    name = PurePath(artifact["source"] or "").name
    if artifact["class"] == "GitPythonArtifact":
        return "ads_driver.zip"
    if artifact["class"] == "ScriptArtifact":
        return name if "." in name else f"{name}.zip"
    return (name.split(".", 1)[0] or "artifact") + ".zip"


@cases("translate")
def test_a_runtime_becomes_the_recorded_payload(case: dict[str, Any]) -> None:
    given = json.dumps(case["runtime_spec"])

    def translate() -> dict[str, Any]:
        return oci.translate(runtime_from_spec(case["runtime_kind"], case["runtime_spec"]), region=region_of(case))

    if "error" in case:
        assert error_of(translate) == case["error"]["type"]
        return
    payload = translate()
    assert payload == here(case["expected_payload"])
    assert json.dumps(case["runtime_spec"]) == given, "what the caller gave is changed"
    assert_same(here(case["extracted"]), lambda: oci.extract(payload))
    uploaded = {**payload, "artifact": uploaded_name(payload["artifact"])}
    assert_same(here(case["extracted_after_upload"]), lambda: oci.extract(uploaded))
    again: Callable[[], dict[str, Any]] = lambda: oci.translate(oci.extract(uploaded))  # noqa: E731
    if "retranslation_error" in case:
        assert error_of(again) == case["retranslation_error"]["type"]
    elif case["retranslation_same"]:
        assert again()["job_configuration_details"] == payload["job_configuration_details"]
    elif "retranslation_env_changes" in case:
        before, after = (each["job_configuration_details"]["environment_variables"] for each in (payload, again()))
        changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
        recorded = case["retranslation_env_changes"]
        assert {name: [before.get(name), after.get(name)] for name in changed} == recorded


@cases("extract")
def test_a_job_becomes_the_recorded_runtime(case: dict[str, Any]) -> None:
    assert_same(case if "error" in case else case["extracted"], lambda: oci.extract(case["job"]))


@cases("yaml")
def test_a_whole_file_is_read_as_recorded(case: dict[str, Any]) -> None:
    if "error" in case:
        assert error_of(lambda: load_job(case["yaml"])) == case["error"]["type"]
        return
    job = load_job(case["yaml"])
    assert job.name == case["job_name"]
    assert job.runtime is not None
    assert job.infrastructure is not None
    assert described(job.runtime) == {**case["runtime"], "spec": comparable(case["runtime"]["spec"])}
    assert job.infrastructure.to_spec() == case["infrastructure"]
    assert oci.translate(job.runtime) == here(case["expected_payload"])
    if "infrastructure_error" in case:
        assert error_of(lambda: oci.translate_job(job)) == case["infrastructure_error"]["type"]
    else:
        details = oci.translate_job(job)["job_infrastructure_configuration_details"]
        assert details == case["job_infrastructure_configuration_details"]


def test_every_recorded_case_is_looked_at() -> None:
    assert RECORDED["meta"]["cases"] == len(CASES)
    assert {case["op"] for case in CASES} == {"translate", "extract", "yaml"}


SAMPLED = json.loads((Path(__file__).parent / "fixtures" / "sampled_specifications.json").read_text())["cases"]


@pytest.mark.parametrize("case", SAMPLED, ids=[f"{case['kind']}-{index}" for index, case in enumerate(SAMPLED)])
def test_a_specification_drawn_at_random_is_treated_as_ads_treated_it(case: dict[str, Any]) -> None:
    def translate() -> dict[str, Any]:
        return oci.translate(runtime_from_spec(case["kind"], case["spec"]), region=case["region"])

    if "error" in case:
        assert error_of(translate) == case["error"]
        return
    payload = translate()
    assert payload == here(case["payload"])
    extracted = here(case["extracted"])
    assert_same(
        {"error": {"type": extracted["error"]}} if "error" in extracted else extracted, lambda: oci.extract(payload)
    )
