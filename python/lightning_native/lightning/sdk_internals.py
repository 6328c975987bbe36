"""Every private or undocumented name of lightning-sdk that we touch, each with its reason and its fallback.

This package has no other use of such names; `errors.py` knows the SDK's errors by their type's name and status.
Environment variables of the SDK that it does not document, and that are read by nothing if they are renamed:
`LIGHTNING_DISABLE_VERSION_CHECK` (importing asks the package index for news, without a time limit),
`LIGHTNING_KEEPALIVE_FREQUENCY` (see `end_keep_alive`; the local cloud sets it) and `LIGHTNING_CREDENTIAL_PATH`.
"""

import importlib
import json
import subprocess
import sys
import webbrowser
import zoneinfo
from collections.abc import Callable
from importlib.metadata import version
from shlex import quote
from typing import TYPE_CHECKING, Any, NoReturn

from lightning_native.errors import LightningNativeError
from lightning_native.lightning.sdk_module import sdk_module

if TYPE_CHECKING:
    from lightning_sdk import Job, Studio, Teamspace
    from lightning_sdk.pipeline import Pipeline

_MACHINES = """
import json, warnings
warnings.simplefilter("ignore")
from lightning_sdk import Machine
print(json.dumps({name: value.slug for name, value in vars(Machine).items() if isinstance(value, Machine)}))
"""
# The address that this process first talked to, where the SDK does not say.
_first_address: list[str] = []


def lacking(name: str, purpose: str) -> LightningNativeError:
    """Return the error for a name that the installed SDK does not have, and that nothing can stand for."""
    return LightningNativeError(
        f"lightning-sdk {version('lightning-sdk')} has no {name}, which it takes to {purpose}; "
        "install a version that was tested: pip install 'lightning-native[engine]'"
    )


def _find(module: str, name: str) -> Any:
    """Return what the SDK calls so; None where it does not."""
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
    """Import what most calls need: the SDK would import it, with a parser of YAML, in the first of them.

    Fallback: it does.
    """
    _find("utils.config", "Config")


def address_of_process(wanted: str) -> str:
    """Return the address that the SDK talks to: it keeps the one that the environment had when it was imported.

    Fallback: the first address that this process wanted.
    """
    if not _first_address:
        _first_address.append(wanted)
    return str(_find("lightning_cloud.env", "LIGHTNING_CLOUD_URL") or _first_address[0])


def refuse_browser(refuse: Callable[..., NoReturn]) -> None:
    """Have a call instead of the server that the SDK would run for signing in, which waits without a limit.

    Fallback: the call comes when the SDK opens a browser, in the place of Python's own function.
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
    """Have the SDK repeat no request that was answered with a status: it takes a 403 for a passing fault.

    Fallback: it repeats it for more than four minutes, and fails then.
    """
    client = importlib.import_module("lightning_sdk.lightning_cloud.rest_client")
    may_retry = getattr(client, "_should_retry", None)
    if may_retry is None or may_retry.__module__ == __name__:
        return

    def should_retry(error: BaseException) -> bool:
        return getattr(error, "status", None) != never_for and bool(may_retry(error))

    client._should_retry = should_retry  # type: ignore[attr-defined]


def share_log_client() -> None:
    """Have all jobs of this process read their logs through one client.

    The SDK makes one for each `Job`, also for those of a list: 6 ms each for wrapping 1,200 methods, and a connection.
    Fallback: it does.
    """
    job = importlib.import_module("lightning_sdk.job")
    if isinstance(kind := getattr(job, "LogsApi", None), type):
        client = kind()
        job.LogsApi = lambda: client  # type: ignore[attr-defined]


def believe_list(job: "Job") -> None:
    """Have a job of a list believe it, which has everything; the SDK asks again for each of them otherwise.

    Fallback: it asks.
    """
    job._prevent_refetch_latest = True


def remove_file(studio: "Studio", path: str) -> None:
    """Remove a file below a studio's home, as the SDK's own command line does: `Studio` has no method for it.

    Fallback: a command in the studio, if it runs.

    Raises:
        FileNotFoundError: it is gone already.
        LightningNativeError: there is no way to remove it.
    """
    remove = getattr(getattr(studio, "_studio_api", None), "remove_file", None)
    if remove is not None:
        remove(studio.id, studio.teamspace.id, path)
        return
    if str(studio.status) != "Status.Running" and getattr(studio.status, "name", "") != "Running":
        raise lacking("StudioApi.remove_file", "remove a file from a studio that does not run")
    output, code = studio.run_with_exit_code(f"rm -f -- {quote(path)}")
    if code:
        raise OSError(output)


def end_keep_alive(studio: "Studio") -> None:
    """Let the SDK's reports of a studio's use end by themselves: `stop` and `delete` would wait for up to 30 s.

    Fallback: they wait.
    """
    api: Any = getattr(studio, "_studio_api", None)
    events = getattr(api, "_keep_alive_events", {})
    for key in list(getattr(api, "_keep_alive_threads", {})):
        if key in events:
            del api._keep_alive_threads[key]
            events[key].set()


def job_specification(job: "Job") -> Any:
    """Return what a job was submitted with, of which the SDK shows image and command only.

    Raises:
        LightningNativeError: the SDK does not have it; there is no other way.
    """
    spec = getattr(getattr(job, "_guaranteed_job", None), "spec", None)
    if spec is None:
        raise lacking("Job._guaranteed_job.spec", "read what a job was submitted with")
    return spec


def raw_job_state(job: "Job") -> str:
    """Return the platform's own word for how a job stands: before 2026.10.13 the SDK calls a job that ends pending.

    Fallback: an empty text, as if nothing was known.
    """
    return str(getattr(getattr(job, "_guaranteed_job", None), "state", "") or "").lower()


def drive_client() -> Any:
    """Return the SDK's client of a teamspace's drive; `Filesystem` looks the teamspace up again for each call.

    Raises:
        LightningNativeError: the SDK does not have it; there is no other way.
    """
    client = _need("api.filesystem_api", "FilesystemApi", "upload to the drive")()
    for name in ("upload_file", "delete_folder"):
        if not hasattr(client, name):
            raise lacking(f"FilesystemApi.{name}", "keep the drive")
    return client


def pipelines_client() -> Any:
    """Return the SDK's client of pipelines: its own class has no status, its `stop` raises, and schedules have none.

    Raises:
        LightningNativeError: the SDK does not have it; there is no other way.
    """
    return _need("api.pipeline_api", "PipelineApi", "see how a pipeline stands")()


def requests_of(client: Any) -> Any:
    """Return what sends the requests of one of the SDK's clients.

    Fallback: a sender of our own making, of the SDK's class for all of them.
    """
    sender = getattr(client, "_client", None)
    return sender or _need("lightning_cloud.rest_client", "LightningClient", "send requests")()


def created_pipeline(pipeline: "Pipeline") -> Any:
    """Return the platform's answer to the creation of a pipeline; None if it has to be looked for by its name."""
    return getattr(pipeline, "_pipeline", None)


def model(name: str) -> Any:
    """Return a class of the API's bodies.

    Raises:
        LightningNativeError: the SDK does not have it; there is no other way.
    """
    return _need("lightning_cloud.openapi.models", name, "send a request")


def cloud_accounts_client() -> Any:
    """Return the SDK's client of cloud accounts, which tells the global ones; None where there is none."""
    kind = _find("api.cloud_account_api", "CloudAccountApi")
    return kind() if kind is not None and hasattr(kind, "list_global_cloud_accounts") else None


def price_list_client() -> Any:
    """Return the SDK's client of price lists: `Teamspace.list_machines` has no CPUs and no memory.

    Fallback: None, and that method.
    """
    kind = _find("api.teamspace_api", "TeamspaceApi")
    return kind() if kind is not None and hasattr(kind, "list_machines") else None


def listed_machines(teamspace: "Teamspace") -> list[Any]:
    """Return what `Teamspace.list_machines` has."""
    return list(teamspace.list_machines())


def machine_table() -> dict[str, str]:
    """Return each machine's name and its slug, from the SDK's file for it: importing the SDK takes 0.4 s.

    Fallback: another process imports it, so that this one is not bound to a cloud.

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
    """Return the time zones that the SDK lets schedules have, from its file for them.

    Fallback: all that this computer knows.
    """
    try:
        return list(sdk_module("pipeline/schedule")._TIMEZONES)
    except (AttributeError, FileNotFoundError, ImportError):
        return sorted(zoneinfo.available_timezones())
