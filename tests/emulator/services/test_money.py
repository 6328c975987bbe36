"""The money of the local cloud's account: what is spent, and what happens when nothing is left."""

import json
import time
import urllib.error
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.servers.strict_cloud import StrictCloud

from lightning_native.emulator import LocalCloud

RATE = 60.0
BALANCE = 0.1
OUT_OF_FUNDS = "USER_STOP_WORKLOAD_REASON_OUT_OF_FUNDS"
REFUSAL = "insufficient balance to start the cloud space, top up and try again"


@pytest.fixture
def cloud() -> Iterator[StrictCloud]:
    # A studio and a job cost a cent in a second of this clock; the studio needs some to start on a busy computer.
    with LocalCloud(parts={"balance": BALANCE, "provision_seconds": 30}, clock_rate=RATE) as cloud:
        yield StrictCloud(cloud)


@pytest.fixture
def rich() -> Iterator[StrictCloud]:
    with LocalCloud(clock_rate=RATE) as cloud:
        yield StrictCloud(cloud)


def until(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 120
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def source(cloud: StrictCloud) -> str:
    studio: str = cloud.of_project("POST", "/cloudspaces", {"name": "source"})["id"]
    return studio


def studio_of(cloud: StrictCloud, studio: str) -> dict[str, Any]:
    return cloud.of_project("GET", f"/cloudspaces/{studio}")


def has_machine(cloud: StrictCloud, studio: str) -> bool:
    return "inUse" in studio_of(cloud, studio)["codeStatus"]


def account(cloud: StrictCloud) -> dict[str, Any]:
    return cloud.call("GET", "/v1/users/billing/balance")


def refused(call: Callable[[], object]) -> dict[str, Any]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        call()
    with caught.value as error:
        answer: dict[str, Any] = json.loads(error.read())
        assert error.status == 400
    return answer


def test_all_that_runs_is_stopped_when_the_balance_is_spent_and_nothing_starts(cloud: StrictCloud) -> None:
    studio = cloud.studio()
    job = cloud.submit("sleep 1000", cloudspaceId=studio)
    ended = cloud.wait(job)
    assert (ended["state"], ended["message"]) == ("stopped", OUT_OF_FUNDS)
    until(lambda: not has_machine(cloud, studio))
    assert studio_of(cloud, studio)["message"] == OUT_OF_FUNDS
    assert -0.005 < account(cloud)["balance"] <= 0
    for call in (
        lambda: cloud.submit("true", cloudspaceId=studio),
        lambda: cloud.of_project("POST", f"/cloudspaces/{studio}/start", {}),
        lambda: cloud.of_project("POST", "/multi-machine-jobs", {"machines": 2, "spec": {"cloudspaceId": studio}}),
        lambda: cloud.of_project("POST", "/pipelines", {"name": "p", "steps": []}),
    ):
        answer = refused(call)
        assert (answer["code"], answer["message"]) == (9, REFUSAL)


def test_a_job_that_waits_for_its_machine_fails_at_no_cost(rich: StrictCloud) -> None:
    rich.cloud.faults.add("out-of-capacity", times=0)
    job = rich.submit("true", cloudspaceId=source(rich))
    rich.cloud.faults.add("out-of-funds")
    ended = rich.wait(job)
    assert (ended["state"], ended["message"], ended["totalCost"]) == ("failed", OUT_OF_FUNDS, 0.0)
    assert "startedAt" not in ended


def test_the_machines_of_a_job_are_stopped_together(rich: StrictCloud) -> None:
    spec = {"command": "sleep 1000", "cloudspaceId": source(rich), "instanceName": "cpu-4"}
    several = rich.of_project("POST", "/multi-machine-jobs", {"name": "several", "machines": 2, "spec": spec})["id"]

    def of_several() -> dict[str, Any]:
        return rich.of_project("GET", f"/multi-machine-jobs/{several}")

    until(lambda: of_several()["status"]["readyMachines"] == "2")
    rich.cloud.faults.add("out-of-funds")
    until(lambda: of_several()["state"].endswith("STOPPED"))
    assert of_several()["message"] == OUT_OF_FUNDS


def test_a_top_up_lets_work_start_again(rich: StrictCloud) -> None:
    studio = rich.studio()
    fault = rich.cloud.faults.add("out-of-funds")
    until(lambda: not has_machine(rich, studio))
    assert account(rich)["balance"] == 0
    rich.cloud.faults.remove(fault.id)
    rich.start(studio)
    assert studio_of(rich, studio)["message"] == ""
    assert rich.wait(rich.submit("true", cloudspaceId=studio))["state"] == "completed"
    assert "balance" not in account(rich)


def test_a_pipeline_goes_no_further_without_money(rich: StrictCloud) -> None:
    spec = {"command": "sleep 1000", "cloudspaceId": source(rich), "instanceName": "cpu-4"}
    step = {"type": "PIPELINE_STEP_TYPE_JOB", "job": {"spec": spec}}
    steps = [{**step, "name": "a"}, {**step, "name": "b", "waitFor": ["a"]}]
    pipeline = rich.of_project("POST", "/pipelines", {"name": "p", "steps": steps})["id"]
    path = f"/pipelines/{pipeline}"
    until(lambda: rich.of_project("GET", path)["statuses"][0]["state"] == "running")
    rich.cloud.faults.add("out-of-funds")
    until(lambda: rich.of_project("GET", path)["state"] == "PIPELINE_STATE_FAILED")
    first, second = rich.of_project("GET", path)["statuses"]
    assert (first["state"], first["message"], second["state"]) == ("stopped", OUT_OF_FUNDS, "skipped")


def test_deleted_work_stays_spent_also_after_a_restart(rich: StrictCloud) -> None:
    studio = rich.studio()
    job = rich.submit("sleep 0.5", cloudspaceId=studio)
    rich.wait(job)
    rich.stop(studio)
    before = account(rich)["totalSpent"]
    assert before > 0.3 * RATE / 3600 * 0.1
    rich.of_project("DELETE", f"/jobs/{job}")
    rich.of_project("DELETE", f"/cloudspaces/{studio}")
    assert account(rich)["totalSpent"] == pytest.approx(before)
    root = rich.cloud.root
    rich.cloud.kill()
    with LocalCloud(root) as again:
        assert account(StrictCloud(again))["totalSpent"] == pytest.approx(before)


def test_a_studio_is_billed_from_the_request_of_its_machine(tmp_path: Any) -> None:
    with LocalCloud(tmp_path / "cloud", boot_seconds=120, clock_rate=RATE) as local:
        cloud = StrictCloud(local)
        studio = cloud.studio()
        cloud.stop(studio)
        prices = cloud.call("GET", "/v1/core/accelerators")["accelerator"]
        price = next(item["cost"] for item in prices if item["slugMultiCloud"] == "cpu-4")
        assert account(cloud)["totalSpent"] >= 120 / 3600 * price


def test_each_holder_of_the_account_shows_its_balance(cloud: StrictCloud) -> None:
    (member, *_) = cloud.call("GET", "/v1/memberships")["memberships"]
    organization = cloud.call("GET", "/v1/orgs")["organizations"][0]["id"]
    assert member["balance"] == pytest.approx(BALANCE)
    for path in (
        "/v1/users/billing/balance",
        "/v1/billing/account-balance",
        f"/v1/projects/{cloud.project}/billing/balance",
        f"/v1/orgs/{organization}/billing/balance",
    ):
        assert cloud.call("GET", path)["balance"] == pytest.approx(BALANCE)
