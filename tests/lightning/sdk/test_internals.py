"""Renamed names of the SDK: a rename in its next version costs speed, or one clear error, and nothing else."""

import logging
import threading
import types
import webbrowser
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import tomllib

from lightning_native.emulator import LocalCloud
from lightning_native.errors import CredentialsError, LightningNativeError
from lightning_native.lightning.cloud import JobRequest
from lightning_native.lightning.offers import fetch_offers
from lightning_native.lightning.sdk import internals as sdk_internals
from lightning_native.lightning.sdk import version as sdk_version
from lightning_native.lightning.sdk.options import fitting_options
from lightning_native.lightning.session import connect, open_teamspace


@pytest.fixture(autouse=True)
def teamspace(lightning_cloud: LocalCloud) -> Any:
    assert lightning_cloud.url
    return open_teamspace()


def refuse(*_arguments: object) -> Any:
    raise CredentialsError("no browser")


def test_the_address_is_the_first_that_was_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    from lightning_sdk.lightning_cloud import env

    assert sdk_internals.address_of_process("http://other") == env.LIGHTNING_CLOUD_URL
    monkeypatch.setattr(sdk_internals, "_first_address", [])
    monkeypatch.delattr(env, "LIGHTNING_CLOUD_URL")
    assert sdk_internals.address_of_process("http://one") == "http://one"
    assert sdk_internals.address_of_process("http://two") == "http://one"


def test_no_browser_opens_for_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    from lightning_sdk.lightning_cloud import login

    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: bool(opened.append(url)))
    monkeypatch.delattr(login, "AuthServer")
    sdk_internals.refuse_browser(refuse)
    sdk_internals.refuse_browser(refuse)
    of_sdk = types.FunctionType(
        (lambda: webbrowser.open("a")).__code__, {"webbrowser": webbrowser, "__name__": "lightning_sdk.x"}
    )
    with pytest.raises(CredentialsError, match="no browser"):
        of_sdk()
    webbrowser.open("b")
    assert opened == ["b"]


@pytest.mark.parametrize(
    ("module", "name", "mend"),
    [
        ("utils.config", "Config", sdk_internals.import_configuration),
        ("lightning_cloud.rest_client", "_should_retry", lambda: sdk_internals.decide_retries(403)),
        ("job", "LogsApi", sdk_internals.share_log_client),
    ],
)
def test_a_mend_that_finds_nothing_to_mend_is_left_out(
    monkeypatch: pytest.MonkeyPatch, module: str, name: str, mend: Any
) -> None:
    monkeypatch.delattr(f"lightning_sdk.{module}.{name}", raising=True)
    mend()


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("api.filesystem_api.FilesystemApi", sdk_internals.drive_client),
        ("api.filesystem_api.FilesystemApi.delete_folder", sdk_internals.drive_client),
        ("api.pipeline_api.PipelineApi", sdk_internals.pipelines_client),
        (
            "lightning_cloud.openapi.models.V1ScheduleResourceType",
            lambda: sdk_internals.model("V1ScheduleResourceType"),
        ),
    ],
)
def test_what_nothing_stands_for_is_one_error_with_the_version(
    monkeypatch: pytest.MonkeyPatch, name: str, call: Any
) -> None:
    import lightning_sdk.api.filesystem_api
    import lightning_sdk.api.pipeline_api  # noqa: F401  found by its name below

    monkeypatch.delattr(f"lightning_sdk.{name}")
    with pytest.raises(LightningNativeError, match=version("lightning-sdk")) as caught:
        call()
    assert name.rpartition(".")[2] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["api.teamspace_api.TeamspaceApi.list_machines", "api.teamspace_api.TeamspaceApi"])
def test_prices_come_from_the_public_list(teamspace: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    full = {offer.name: offer for offer in fetch_offers(teamspace)}
    public = teamspace.list_machines()
    monkeypatch.setattr(sdk_internals, "listed_machines", lambda _teamspace: public)
    monkeypatch.setattr("lightning_native.lightning.offers.listed_machines", lambda _teamspace: public)
    monkeypatch.delattr(f"lightning_sdk.{name}")
    offers = {offer.name: offer for offer in fetch_offers(teamspace)}
    assert offers["L4"].hourly_cost == full["L4"].hourly_cost
    assert (offers["L4"].gpus, offers["L4"].gpu_type, offers["L4"].gpu_memory_gb) == (1, "L4", 24)
    assert offers["CPU"].gpus == 0


def test_accounts_are_the_teamspaces_own(teamspace: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    find = sdk_internals._find
    # The name stays in the SDK, which needs it itself.
    monkeypatch.setattr(sdk_internals, "_find", lambda module, name: None if "Account" in name else find(module, name))
    assert any(offer.name == "L4" for offer in fetch_offers(teamspace))


def test_a_studio_and_a_job_without_their_private_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from lightning_sdk import Job
    from lightning_sdk.api.studio_api import StudioApi

    cloud = connect()
    studio = cloud.create_studio("internals")
    studio.start("CPU")
    studio.run(["touch", "it's here"])
    job = cloud.run_job(JobRequest("internals", "CPU", "true", studio="internals"))
    with monkeypatch.context() as patch:
        patch.delattr(StudioApi, "remove_file")
        studio.remove("it's here")
        assert studio.run(["ls", "it's here"])[1] != 0
        patch.delattr(Job, "_guaranteed_job")
        assert sdk_internals.raw_job_state(job._job) == ""
        assert sdk_internals.job_seconds(job._job) is None
        job.state()
        with pytest.raises(LightningNativeError, match="_guaranteed_job"):
            job.details()
        patch.delattr(Job, "_latest_job")
        with pytest.raises(LightningNativeError, match="_latest_job"):
            sdk_internals.latest_job(job._job)
        patch.setattr(studio.sdk_studio, "_studio_api", types.SimpleNamespace())
        assert studio.message() == ""
        sdk_internals.end_keep_alive(studio.sdk_studio)
        shown = tmp_path / "shown"
        patch.setattr(type(studio.sdk_studio), "download_file", lambda _studio, path, to: Path(to).write_text(path))
        assert studio.download("file", shown)
        assert shown.read_text() == "file"
        with pytest.raises(LightningNativeError, match="get_studio_status"):
            sdk_internals.studio_instances(studio.sdk_studio)
    job.release()
    studio.release(delete=False)
    with monkeypatch.context() as patch:
        patch.delattr(StudioApi, "remove_file")
        with pytest.raises(LightningNativeError, match="remove_file"):
            studio.remove("it's here")
    studio.release(delete=True)


def test_reports_of_a_studios_use_fail_silently_and_other_threads_do_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failed: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda failure: failed.append(failure.thread.name))
    log = logging.getLogger("urllib3.connectionpool")
    filters = list(log.filters)
    sdk_internals.silence_keep_alives()
    try:
        for name in ("Thread-3 (_send_keepalives)", "another"):
            thread = threading.Thread(target=lambda: 1 / 0, name=name)
            thread.start()
            thread.join()
        log.warning("Retrying: %s", "/v1/cloudspaces/x/keep-alive")
        log.warning("Retrying: %s", "/v1/cloudspaces/x")
    finally:
        log.filters[:] = filters
    assert failed == ["another"]
    assert caplog.messages == ["Retrying: /v1/cloudspaces/x"]


def test_a_balance_is_unknown_without_the_clients(teamspace: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("lightning_sdk.api.utils.cached_lightning_client")
    assert sdk_internals.account_balance(teamspace) is None


def test_a_balance_is_that_of_the_membership_or_else_of_the_teamspace(
    teamspace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = types.SimpleNamespace(project_id=teamspace.id, balance=3.5)
    others = types.SimpleNamespace(project_id="other", balance=9.0)
    lists = [[others, member], [others]]
    client = types.SimpleNamespace(
        projects_service_list_memberships=lambda: types.SimpleNamespace(memberships=lists.pop(0)),
        billing_service_get_project_balance=lambda _id: types.SimpleNamespace(balance=2.0),
    )
    monkeypatch.setattr("lightning_sdk.api.utils.cached_lightning_client", lambda **_: client)
    assert [sdk_internals.account_balance(teamspace) for _ in range(2)] == [3.5, 2.0]


def test_requests_are_sent_without_the_clients_own_sender(teamspace: Any) -> None:
    sender = sdk_internals.requests_of(types.SimpleNamespace())
    assert sender.pipelines_service_list_pipelines(teamspace.id).pipelines is not None
    assert sdk_internals.created_pipeline(types.SimpleNamespace()) is None  # type: ignore[arg-type]


def test_machines_and_time_zones_are_found_without_their_files(monkeypatch: pytest.MonkeyPatch) -> None:
    machines, zones = sdk_internals.machine_table(), sdk_internals.time_zone_names()

    def gone(path: str) -> Any:
        raise FileNotFoundError(path)

    monkeypatch.setattr(sdk_internals, "sdk_module", gone)
    assert sdk_internals.machine_table() == machines
    assert {"Europe/Berlin", *zones[:3]} <= set(sdk_internals.time_zone_names())


def test_an_option_that_a_version_lacks_matters_only_where_it_is_given() -> None:
    def call(name: str) -> str:
        return name

    assert fitting_options(call, {"name": "a", "tags": None, "max_run_attempts": 1}) == {"name": "a"}
    with pytest.raises(LightningNativeError, match=r"'tags' .*call"):
        fitting_options(call, {"name": "a", "tags": ["b"]})


@pytest.mark.parametrize(("installed", "word"), [("2026.8.14", "too old"), ("2026.8.18", ""), ("2026.11.1", "newer")])
def test_a_client_that_was_not_tested_is_told_in_one_line(
    installed: str, word: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sdk_version, "version", lambda _name: installed)
    sdk_version.check_sdk_version.cache_clear()
    try:
        sdk_version.check_sdk_version()
        told = "".join(caplog.messages)
    except LightningNativeError as error:
        told = str(error)
    finally:
        sdk_version.check_sdk_version.cache_clear()
    assert (word in told) if word else not told
    assert "\n" not in told


def test_the_package_asks_for_the_versions_that_it_takes() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    expected = f"lightning-sdk>={sdk_version.OLDEST},<{sdk_version.FIRST_UNTESTED}; python_version >= '3.11'"
    assert expected in project["optional-dependencies"]["engine"]
