"""The private and undocumented names of lightning-sdk that we use, each with its reason and its fallback.

This package has no other use of such names, with two exceptions: `errors.py` recognises the SDK's errors by their
type's name and status, and `teamspace.py` reads the creation times of studios.
The SDK does not document these variables either, and reads none of ours if it renames them:
`LIGHTNING_DISABLE_VERSION_CHECK` (the import asks the package index for new versions, without a time limit),
`LIGHTNING_KEEPALIVE_FREQUENCY` (see `end_keep_alive`; the local cloud sets it) and `LIGHTNING_CREDENTIAL_PATH`.
"""

import importlib
import json
import logging
import subprocess
import sys
import threading
import webbrowser
import zoneinfo
from collections.abc import Callable
from importlib.metadata import version
from shlex import quote
from typing import TYPE_CHECKING, Any, NoReturn

from lightning_native.errors import LightningNativeError
from lightning_native.lightning.sdk.module import sdk_module

if TYPE_CHECKING:
    from lightning_sdk import Job, Studio, Teamspace
    from lightning_sdk.pipeline import Pipeline

_MACHINES = """
import json, warnings
warnings.simplefilter("ignore")
from lightning_sdk import Machine
print(json.dumps({name: value.slug for name, value in vars(Machine).items() if isinstance(value, Machine)}))
"""
# Part of the name of a thread that reports about a studio's use: Python names a thread after its function.
_KEEP_ALIVE = "_send_keepalives"
# The first address of this process, for an SDK that does not report its own.
_first_address: list[str] = []


def lacking(name: str, purpose: str) -> LightningNativeError:
    """Return the error about a name that the installed SDK lacks and that has no substitute."""
    return LightningNativeError(
        f"lightning-sdk {version('lightning-sdk')} has no {name}, which it takes to {purpose}; "
        "install a version that was tested: pip install 'lightning-native[engine]'"
    )


def _find(module: str, name: str) -> Any:
    """Return the SDK's object of this name; None if there is none."""
    try:
        return getattr(importlib.import_module(f"lightning_sdk.{module}"), name, None)
    except ModuleNotFoundError:
        return None


def _need(module: str, name: str, purpose: str) -> Any:
    found = _find(module, name)
    if found is None:
        raise lacking(f"{module}.{name}", purpose)
    return found


def import_configuration() -> None:
    """Import the SDK's configuration and its YAML parser, because the first of most calls would import them.

    Fallback: that call imports them.
    """
    _find("utils.config", "Config")


def address_of_process(wanted: str) -> str:
    """Return the address to which the SDK sends its requests; it keeps the one of the variables at its import.

    Fallback: the first address that this process wanted.
    """
    if not _first_address:
        _first_address.append(wanted)
    return str(_find("lightning_cloud.env", "LIGHTNING_CLOUD_URL") or _first_address[0])


def refuse_browser(refuse: Callable[..., NoReturn]) -> None:
    """Replace the SDK's sign-in server by a call of `refuse`, because the server waits without a limit.

    Fallback: the SDK's call of `webbrowser.open` becomes a call of `refuse`.
    """
    server = _find("lightning_cloud.login", "AuthServer")
    if hasattr(server, "login_with_browser"):
        server.login_with_browser = refuse
        return
    open_browser = webbrowser.open
    if getattr(open_browser, "__module__", "") == __name__:
        return

    def open_for_others(url: str, *arguments: Any, **options: Any) -> bool:
        if str(sys._getframe(1).f_globals.get("__name__", "")).startswith("lightning_sdk"):
            refuse()
        return open_browser(url, *arguments, **options)

    webbrowser.open = open_for_others


def decide_retries(never_for: int) -> None:
    """Let the SDK repeat no request whose answer has a status, because it regards a 403 as a passing fault.

    Fallback: the SDK repeats the request for more than four minutes, and fails then.
    """
    client = importlib.import_module("lightning_sdk.lightning_cloud.rest_client")
    may_retry = getattr(client, "_should_retry", None)
    if may_retry is None or may_retry.__module__ == __name__:
        return

    def should_retry(error: BaseException) -> bool:
        return getattr(error, "status", None) != never_for and bool(may_retry(error))

    client._should_retry = should_retry  # type: ignore[attr-defined]


def share_log_client() -> None:
    """Let all jobs of this process read their logs through one client.

    The SDK creates a client for each `Job`, also for those of a list: a connection, and 6 ms to wrap 1,200 methods.
    Fallback: the SDK does so.
    """
    job = importlib.import_module("lightning_sdk.job")
    if isinstance(kind := getattr(job, "LogsApi", None), type):
        client = kind()
        job.LogsApi = lambda: client  # type: ignore[attr-defined]


def believe_list(job: "Job") -> None:
    """Let a job of a list keep the list's data, because the SDK would request the same data again for each job.

    Fallback: the SDK requests them.
    """
    job._prevent_refetch_latest = True


def remove_file(studio: "Studio", path: str) -> None:
    """Remove a file below a studio's home as the SDK's command line does, because `Studio` has no method for it.

    Fallback: a command in the studio, if it runs.

    Raises:
        FileNotFoundError: the file is gone already.
        LightningNativeError: there is no way to remove the file.
    """
    api = getattr(studio, "_studio_api", None)
    remove = getattr(api, "remove_file", None)
    if remove is not None:
        try:
            remove(studio.id, studio.teamspace.id, path)
        except FileNotFoundError:
            _check_gone(api, studio, path)
            raise
        return
    if str(studio.status) != "Status.Running" and getattr(studio.status, "name", "") != "Running":
        raise lacking("StudioApi.remove_file", "remove a file from a studio that does not run")
    output, code = studio.run_with_exit_code(f"rm -f -- {quote(path)}")
    if code:
        raise OSError(output)


# gRPC's code, which Lightning's answers carry for a 404.
_NOT_FOUND = 5


def _check_gone(api: Any, studio: "Studio", path: str) -> None:
    """Raise OSError unless a file is proven gone: its folder is listed without it, or not found (in a deleted studio).

    The SDK looks for the file in the listing of its folder, and takes any answer, also 503, for an empty one.
    """
    folder, _, name = path.rpartition("/")
    get_tree = getattr(api, "get_tree", None)
    listing: dict[str, Any] = {"tree": []} if get_tree is None else get_tree(studio.id, studio.teamspace.id, folder)
    if listing.get("code") == _NOT_FOUND:
        return
    if "tree" not in listing or any(entry.get("path") == name for entry in listing["tree"]):
        raise OSError(f"it is not known to be gone: {listing.get('message') or 'it is listed'}")


def download_file(studio: "Studio", path: str, target: str) -> None:
    """Download a file of a studio without a progress bar, which `Studio.download_file` always shows.

    Fallback: that method.
    """
    download = getattr(getattr(studio, "_studio_api", None), "download_file", None)
    if download is None:
        studio.download_file(path, target)
        return
    ids = {"studio_id": studio.id, "teamspace_id": studio.teamspace.id, "cloud_account": studio.cloud_account}
    download(path=path, target_path=target, progress_bar=False, **ids)


def machine_in_use(studio: "Studio") -> str:
    """Return the id of the machine that a studio has now, because the SDK's `machine` is the one that was asked for.

    Fallback: an empty text.
    """
    see = getattr(getattr(studio, "_studio_api", None), "get_studio_status", None)
    status = see(studio.id, studio.teamspace.id) if see is not None else None
    return str(getattr(getattr(status, "in_use", None), "cloud_space_instance_id", None) or "")


def end_keep_alive(studio: "Studio") -> None:
    """Let the SDK's reports about a studio's use end by themselves; `stop` and `delete` would wait for up to 30 s.

    Fallback: `stop` and `delete` wait.
    """
    api: Any = getattr(studio, "_studio_api", None)
    events = getattr(api, "_keep_alive_events", {})
    for key in list(getattr(api, "_keep_alive_threads", {})):
        if key in events:
            del api._keep_alive_threads[key]
            events[key].set()


def silence_keep_alives() -> None:
    """Let the SDK's reports about a studio's use fail silently from now on, because their cloud ends before they do.

    Fallback: their threads print tracebacks.
    """
    before = threading.excepthook

    def ignore(failure: threading.ExceptHookArgs) -> None:
        if failure.thread is None or _KEEP_ALIVE not in failure.thread.name:
            before(failure)

    threading.excepthook = ignore
    logging.getLogger("urllib3.connectionpool").addFilter(lambda record: "/keep-alive" not in record.getMessage())


def job_specification(job: "Job") -> Any:
    """Return the values with which a job was submitted, because the SDK shows only image and command.

    Raises:
        LightningNativeError: the SDK does not have them, and there is no other way.
    """
    spec = getattr(getattr(job, "_guaranteed_job", None), "spec", None)
    if spec is None:
        raise lacking("Job._guaranteed_job.spec", "read what a job was submitted with")
    return spec


def raw_job_state(job: "Job") -> str:
    """Return the platform's state of a job, because the SDK before 2026.10.13 reports an ending job as pending.

    Fallback: an empty text, as for an unknown state.
    """
    return str(getattr(getattr(job, "_guaranteed_job", None), "state", "") or "").lower()


def job_end(job: "Job") -> tuple[str, bool | None, bool | None]:
    """Return the platform's message about a job, whether its machine was interrupted, and whether it has begun.

    The SDK shows none of them. Fallback: an empty message, and None for what is not known.
    """
    record = getattr(job, "_guaranteed_job", None)

    def known(name: str) -> bool | None:
        # An empty field of a record that has it is false.
        return bool(getattr(record, name)) if hasattr(record, name) else None

    message = str(getattr(record, "message", "") or "")
    return message, known("interruption_notice_received"), known("started_at")


def job_seconds(job: "Job") -> float | None:
    """Return the seconds from a job's begin to its end, by the platform's clock; None before, or if they are unknown.

    The SDK before 2026.9 shows neither time. Fallback: None.
    """
    record = getattr(job, "_guaranteed_job", None)
    times = getattr(record, "status", None) if getattr(job, "is_multi_machine", False) else record
    started, stopped = getattr(times, "started_at", None), getattr(times, "stopped_at", None)
    try:
        return max(0.0, (stopped - started).total_seconds()) if started and stopped else None
    except (AttributeError, TypeError):
        return None


def studio_message(studio: "Studio") -> str:
    """Return the platform's message about a studio, which the SDK does not show.

    Fallback: an empty text.
    """
    get = getattr(getattr(studio, "_studio_api", None), "get_studio_by_id", None)
    if get is None:
        return ""
    record = get(studio.id, studio.teamspace.id)
    return str(getattr(record, "message", "") or "")


def account_balance(teamspace: "Teamspace") -> float | None:
    """Return the balance of a teamspace's account, which the SDK does not show.

    It is that of the membership where there is one, because the one of the billing service is wrong for some accounts.
    Fallback: None.
    """
    client = _find("api.utils", "cached_lightning_client")
    if client is None:
        return None
    requests = client(retry=False)
    memberships = getattr(requests, "projects_service_list_memberships", None)
    if memberships is not None:
        for member in memberships().memberships or []:
            if member.project_id == teamspace.id and getattr(member, "balance", None) is not None:
                return float(member.balance)
    balance = getattr(requests, "billing_service_get_project_balance", None)
    found = getattr(balance(teamspace.id), "balance", None) if balance is not None else None
    return None if found is None else float(found)


def job_of_id(teamspace: "Teamspace", name: str, key: str) -> "Job":
    """Return a job by its id, as the SDK's command line does for the steps of pipelines, which no list has.

    Fallback: by its name.
    """
    from lightning_sdk import Job

    client = _find("api.utils", "cached_lightning_client")
    if not key or client is None or not hasattr(Job, "_attach_job"):
        return Job(name=name, teamspace=teamspace)
    record = client(retry=False).jobs_service_get_job(project_id=teamspace.id, id=key)
    job = Job(name=record.name or name, teamspace=teamspace, _fetch_job=False)
    job._attach_job(record)
    return job


def plan_name(organization: str | None) -> str | None:
    """Return the name of the plan of this user, or of an organization by its id, as the SDK's command line reads it.

    Fallback: None.
    """
    client = _find("api.utils", "cached_lightning_client")
    ask = getattr(client(retry=False), "billing_service_get_billing_subscription", None) if client else None
    if ask is None:
        return None
    try:
        found = ask(org_id=organization) if organization else ask()
    except Exception:
        # The platform may have no subscription for this owner.
        return None
    return str(found.name or "Free")


def teamspaces_called(name: str) -> int:
    """Return how many teamspaces of this user have a name, because several owners may have one of it.

    Fallback: one.
    """
    client = _find("api.utils", "cached_lightning_client")
    ask = getattr(client(retry=False), "projects_service_list_memberships", None) if client else None
    found = ask().memberships if ask else None
    return max(1, len({member.project_id for member in found or [] if member.name == name}))


def share_snapshot(studio: "Studio", key: str) -> None:
    """Let the next job from a studio that reuses a snapshot reuse the one of this key.

    The SDK has one key for each studio and process, so that later jobs would begin with outdated files.
    Fallback: none is needed where the SDK has no such keys, because it then has no shared snapshots either.
    """
    store = getattr(_find("constants", "__GLOBAL_LIGHTNING_UNIQUE_IDS_STORE__"), "_d", None)
    if isinstance(store, dict):
        store[studio.id] = key


def latest_job(job: "Job") -> Any:
    """Return the platform's present record of a job, because the SDK shows neither its raw state nor its message.

    Raises:
        LightningNativeError: the SDK does not have it, and there is no other way.
    """
    latest = getattr(job, "_latest_job", None)
    if latest is None:
        raise lacking("Job._latest_job", "read the record of a job")
    return latest


def studio_instances(studio: "Studio") -> Any:
    """Return the platform's record of a studio's machines, because the SDK shows neither message nor readiness.

    Raises:
        LightningNativeError: the SDK does not have it, and there is no other way.
    """
    read = getattr(getattr(studio, "_studio_api", None), "get_studio_status", None)
    if read is None:
        raise lacking("StudioApi.get_studio_status", "read how the machines of a studio stand")
    return read(studio.id, studio.teamspace.id)


def drive_client() -> Any:
    """Return the SDK's client of a teamspace's drive, because `Filesystem` requests the teamspace for each call.

    Raises:
        LightningNativeError: the SDK does not have it, and there is no other way.
    """
    client = _need("api.filesystem_api", "FilesystemApi", "upload to the drive")()
    for name in ("upload_file", "delete_folder"):
        if not hasattr(client, name):
            raise lacking(f"FilesystemApi.{name}", "keep the drive")
    return client


def pipelines_client() -> Any:
    """Return the SDK's client of pipelines, because its class lacks status, schedules and a `stop` that works.

    Raises:
        LightningNativeError: the SDK does not have it, and there is no other way.
    """
    return _need("api.pipeline_api", "PipelineApi", "see how a pipeline stands")()


def requests_of(client: Any) -> Any:
    """Return the sender of the requests of one of the SDK's clients.

    Fallback: a new sender, of the class that all these clients use.
    """
    sender = getattr(client, "_client", None)
    return sender or _need("lightning_cloud.rest_client", "LightningClient", "send requests")()


def created_pipeline(pipeline: "Pipeline") -> Any:
    """Return the platform's answer to the creation of a pipeline; None if only its name leads to it."""
    return getattr(pipeline, "_pipeline", None)


def model(name: str) -> Any:
    """Return a class of the API's request bodies.

    Raises:
        LightningNativeError: the SDK does not have it, and there is no other way.
    """
    return _need("lightning_cloud.openapi.models", name, "send a request")


def cloud_accounts_client() -> Any:
    """Return the SDK's client of cloud accounts, which lists the global ones; None if there is none."""
    kind = _find("api.cloud_account_api", "CloudAccountApi")
    return kind() if kind is not None and hasattr(kind, "list_global_cloud_accounts") else None


def price_list_client() -> Any:
    """Return the SDK's client of price lists, because `Teamspace.list_machines` has no CPUs and no memory.

    Fallback: None, so that the caller uses that method.
    """
    kind = _find("api.teamspace_api", "TeamspaceApi")
    return kind() if kind is not None and hasattr(kind, "list_machines") else None


def listed_machines(teamspace: "Teamspace") -> list[Any]:
    """Return the machines of `Teamspace.list_machines`."""
    return list(teamspace.list_machines())


def machine_table() -> dict[str, str]:
    """Return each machine's name and its slug, from the SDK's file, because the import of the SDK lasts 0.4 s.

    Fallback: another process imports the SDK, so that this one is not bound to a cloud.

    Raises:
        LightningNativeError: lightning-sdk is not installed, or has no machines.
    """
    try:
        machine = sdk_module("machine").Machine
        return {name: value.slug for name, value in vars(machine).items() if isinstance(value, machine)}
    except (AttributeError, FileNotFoundError, ImportError):
        result = subprocess.run([sys.executable, "-c", _MACHINES], check=False, capture_output=True, text=True)
    if result.returncode:
        raise lacking("Machine", "tell which machines there are")
    return dict(json.loads(result.stdout.splitlines()[-1]))


def time_zone_names() -> list[str]:
    """Return the time zones that the SDK accepts for schedules, from its file.

    Fallback: all time zones that this computer knows.
    """
    try:
        return list(sdk_module("pipeline/schedule")._TIMEZONES)
    except (AttributeError, FileNotFoundError, ImportError):
        return sorted(zoneinfo.available_timezones())
