"""Studios: created, started, switched, stopped, deleted."""

import asyncio
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.catalog import DEFAULT_MACHINE
from lightning_native.emulator.cloud_accounts import DEFAULT_CLUSTER, hourly, machine_on, supplied
from lightning_native.emulator.host import processes
from lightning_native.emulator.host.copies import copy_folders
from lightning_native.emulator.host.namespaces import Namespace
from lightning_native.emulator.services.files.drive import (
    drive_folder,
    inside,
    mount_now,
    other_studios,
    read_only_folders,
)
from lightning_native.emulator.services.jobs import limits
from lightning_native.emulator.services.jobs.job_runner import JobRunners
from lightning_native.emulator.services.money import keep_cost, require_funds
from lightning_native.emulator.services.names import free_name
from lightning_native.emulator.services.ports import ports_of
from lightning_native.emulator.services.sessions import actions, readiness
from lightning_native.emulator.services.variables import STUDIORC
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Instance, Studio
from lightning_native.emulator.state.store import new_id

PENDING = "CLOUD_SPACE_INSTANCE_STATE_PENDING"
RUNNING = "CLOUD_SPACE_INSTANCE_STATE_RUNNING"
STOPPING = "CLOUD_SPACE_INSTANCE_STATE_STOPPING"
FAILED = "CLOUD_SPACE_INSTANCE_STATE_FAILED"
# Start and switch answer when they are done, because the SDK polls only once a second; yet before its read timeout
# of 30 s, after which it would send the request again.
_PATIENCE_SECONDS = 20.0
_FAILED_SECONDS = 2.0


def require_running(studio: Studio) -> dict[str, Any]:
    """Return the machine of a running studio; 400 when it does not run."""
    if studio.instance is None or studio.instance["phase"] != RUNNING:
        raise ApiError(400, f"studio {studio.name} is not running")
    return studio.instance


def studio_names(cloud: Cloud, teamspace_id: str) -> list[str]:
    """Return the names of all studios of a teamspace."""
    return [studio.name for studio in cloud.studios if studio.teamspace_id == teamspace_id]


def create(cloud: Cloud, teamspace_id: str, name: str, cluster_id: str | None, **fields: Any) -> Studio:
    """Create a studio with an empty folder."""
    name = free_name(name, studio_names(cloud, teamspace_id))
    now = cloud.clock.now()
    studio = Studio(
        id=new_id(),
        teamspace_id=teamspace_id,
        user_id=cloud.user.id,
        name=name,
        display_name=name,
        cluster_id=cluster_id or DEFAULT_CLUSTER,
        marker=secrets.token_hex(16),
        created_at=now,
        updated_at=now,
        machine=DEFAULT_MACHINE,
        **fields,
    )
    with cloud.folder_in_work(studio.id):
        first = (cloud.studio_home(studio) / STUDIORC).parent
        first.mkdir(parents=True)
        cloud.give(first, cloud.studio_home(studio))
        return cloud.studios.save(studio)


def write_seed(cloud: Cloud, studio: Studio, path: str, content: str) -> None:
    """Write a file that a new studio begins with; only one right in its home."""
    home = cloud.studio_home(studio)
    target = inside(home, path)
    if target.parent == home:
        target.write_text(content, encoding="utf-8", errors="surrogateescape")
        cloud.give(target, home)


async def duplicate(cloud: Cloud, studio: Studio, teamspace_id: str, name: str) -> Studio:
    """Create a studio with the files, environment and settings of another."""
    copy = create(cloud, teamspace_id, name, studio.cluster_id, env=studio.env)
    copy.recorded = dict(studio.recorded)
    try:
        cloud.discard(cloud.studio_home(copy))
        await copy_folders(cloud.studio_folder(studio), cloud.studio_folder(copy), cloud.environments.copy)
    except BaseException:
        await delete(cloud, copy)
        raise
    save(cloud, copy)
    return copy


def rename(cloud: Cloud, studio: Studio, name: str) -> None:
    """Give a studio another name, with a number behind it if it is taken; the caller saves the studio."""
    others = [other for other in studio_names(cloud, studio.teamspace_id) if other != studio.name]
    studio.name = studio.display_name = free_name(name, others)


async def namespace_of(cloud: Cloud, studio: Studio) -> Namespace | None:
    """Return the namespace in which a studio's commands run, if there is one."""
    home, drive = cloud.studio_home(studio), drive_folder(cloud, studio.teamspace_id)
    environment, ports = cloud.studio_environment(studio), ports_of(cloud, studio.id) if cloud.strict else None
    return await cloud.namespace_of(
        studio.marker,
        home,
        drive,
        environment=environment,
        ports=ports,
        read_only=read_only_folders(cloud, job=False),
        studios=other_studios(cloud, studio.teamspace_id, studio.id),
    )


def machine_for(cloud: Cloud, studio: Studio, name: str) -> str:
    """Return the slug of the machine that a studio gets for a name; 400 when its account has none."""
    profile = cloud.settings.profile
    if profile.accounts and profile.missing_gpu_is_cpu and supplied(studio.cluster_id, name) is None:
        return DEFAULT_MACHINE
    return machine_on(studio.cluster_id, name, accounts=profile.accounts).slug


def new_instance(cloud: Cloud, machine: str, interruptible: bool) -> dict[str, Any]:
    """Return a newly requested machine."""
    return asdict(Instance(new_id(), machine, interruptible, PENDING, cloud.clock.now()))


async def boot(cloud: Cloud, studio: Studio, instance: dict[str, Any]) -> None:
    """Boot a machine of a studio, which may be stopped or deleted meanwhile."""
    fault = next(
        (
            found
            for kind in ("boot-hangs", "boot-fails", "out-of-capacity")
            if (found := cloud.faults.take(kind, machine=instance["machine"], name=studio.name))
        ),
        None,
    )
    if fault is not None and fault.kind == "boot-hangs":
        # The machine stays pending until the studio is stopped or deleted.
        return
    booting = cloud.clock.sleep(cloud.settings.boot_seconds_of(instance["machine"]))
    if fault is not None:
        await booting
        if instance["phase"] == PENDING:
            reason = "out of capacity" if fault.kind == "out-of-capacity" else "the machine failed to start"
            _fail(cloud, studio, instance, f"{instance['machine']}: {reason}")
        return
    _, error = await asyncio.gather(booting, _prepare_machine(cloud, studio))
    if cloud.studios.get(studio.id) is not studio:
        # The studio was deleted meanwhile.
        cloud.forget_namespace(studio.marker)
        cloud.discard(cloud.studio_folder(studio))
    elif error is not None:
        _fail(cloud, studio, instance, f"cannot make the environment: {error}")
    elif instance["phase"] == PENDING:
        instance["phase"] = RUNNING
        instance["started_at"] = cloud.clock.now()
        studio.active_at = cloud.clock.now()
        if studio.instance is instance:
            readiness.begin(cloud, studio, instance)
            cloud.start_task(run_session(cloud, studio, instance, begins=True))
        save(cloud, studio)


async def run_session(cloud: Cloud, studio: Studio, instance: dict[str, Any], *, begins: bool) -> None:
    """Run the action for the start of a studio, and restart the studio when its session is over."""
    if begins and actions.has(cloud, studio, actions.ON_START):
        cloud.start_task(actions.run(cloud, studio, await namespace_of(cloud, studio), actions.ON_START))
    if seconds := limits.session_seconds(cloud, instance["machine"]):
        await cloud.clock.sleep(instance["in_use_at"] + seconds - cloud.clock.now())
        if studio.instance is instance and instance["phase"] == RUNNING:
            await _restart(cloud, studio, instance)


async def _restart(cloud: Cloud, studio: Studio, instance: dict[str, Any]) -> None:
    """Give a studio a new machine of the same kind: none of its processes, and only what is in its home."""
    await _run_stop_action(cloud, studio)
    await cloud.end_processes(studio.marker)
    if studio.instance is not instance or instance["phase"] != RUNNING:
        # It was stopped or switched meanwhile.
        return
    cloud.forget_namespace(studio.marker)
    studio.cost = cost(cloud, studio)
    studio.instance = new_instance(cloud, instance["machine"], instance["interruptible"])
    save(cloud, studio)
    await boot(cloud, studio, studio.instance)


async def _run_stop_action(cloud: Cloud, studio: Studio) -> None:
    # A deleted studio needs no more of its work.
    if cloud.studios.get(studio.id) is studio and actions.has(cloud, studio, actions.ON_STOP):
        await actions.run_briefly(cloud, studio, await namespace_of(cloud, studio), actions.ON_STOP)


async def _prepare_machine(cloud: Cloud, studio: Studio) -> OSError | None:
    """Create the environment and namespace of a studio; return the error if that fails."""
    await cloud.service(JobRunners).wait_for_copies(studio.id)
    mount_now(cloud, studio.teamspace_id)
    try:
        await asyncio.to_thread(cloud.environments.create, cloud.studio_environment(studio), cloud.root / "templates")
        await namespace_of(cloud, studio)
    except OSError as error:
        return error
    return None


def _fail(cloud: Cloud, studio: Studio, instance: dict[str, Any], message: str) -> None:
    instance["phase"], instance["message"] = FAILED, message
    save(cloud, studio)
    cloud.start_task(_forget_failed(cloud, studio, instance))


async def _forget_failed(cloud: Cloud, studio: Studio, instance: dict[str, Any]) -> None:
    # The SDK starts only stopped studios: after enough time to see the failure, this one is stopped again.
    await asyncio.sleep(_FAILED_SECONDS)
    if studio.instance is instance:
        studio.instance = None
    elif studio.requested is instance:
        studio.requested = None
    save(cloud, studio)


async def interrupt(cloud: Cloud, studio: Studio, instance_id: str, seconds: float) -> None:
    """Interrupt a studio's machine after some seconds, with all that runs on it."""
    await cloud.clock.sleep(seconds)
    if studio.instance is not None and studio.instance["id"] == instance_id:
        await stop(cloud, studio, at_once=True)


async def stop(cloud: Cloud, studio: Studio, *, at_once: bool = False) -> None:
    """End all processes of a studio and release its machine, its action for that first unless this happens at once.

    Does nothing without a machine.
    """
    instance, studio.requested = studio.instance, None
    if instance is None:
        return
    if instance["phase"] != STOPPING:
        was_running, instance["phase"] = instance["phase"] == RUNNING, STOPPING
        save(cloud, studio)
        if was_running and not at_once:
            await _run_stop_action(cloud, studio)
    await cloud.end_processes(studio.marker)
    if studio.instance is instance:
        cloud.forget_namespace(studio.marker)
        studio.cost = cost(cloud, studio)
        studio.instance = None
        save(cloud, studio)


def cost(cloud: Cloud, studio: Studio) -> float:
    """Return the cost of a studio's machines so far, in dollars."""
    return studio.cost + _cost_of_instance(cloud, studio, studio.instance)


def hourly_cost(cloud: Cloud, studio: Studio, instance: dict[str, Any]) -> float:
    """Return the dollars an hour of a machine of a studio."""
    accounts = cloud.settings.profile.accounts
    return hourly(studio.cluster_id, instance["machine"], interruptible=instance["interruptible"], accounts=accounts)


def _cost_of_instance(cloud: Cloud, studio: Studio, instance: dict[str, Any] | None) -> float:
    # Billed from its request, so also while it is made ready; one that was never to be had is not.
    if instance is None or instance["phase"] == FAILED:
        return 0.0
    hours: float = (cloud.clock.now() - instance["created_at"]) / 3600
    return hours * hourly_cost(cloud, studio, instance)


def phase_of(studio: Studio) -> str:
    """Return a studio's state in one word."""
    if studio.instance is None:
        return "stopped"
    return str(studio.instance["phase"]).rpartition("_")[2].lower()


def save(cloud: Cloud, studio: Studio) -> None:
    """Write a changed studio, unless it was deleted meanwhile."""
    if cloud.studios.get(studio.id) is studio:
        studio.updated_at = cloud.clock.now()
        cloud.studios.save(studio)


async def delete(cloud: Cloud, studio: Studio) -> None:
    """Delete a studio with its processes and files."""
    with cloud.folder_in_work(studio.id):
        cloud.studios.delete(studio.id)
        await stop(cloud, studio)
        keep_cost(cloud, studio.cost)
        studio.cost = 0.0
        await cloud.service(JobRunners).wait_for_copies(studio.id)
        cloud.forget_namespace(studio.marker)
        for command in cloud.commands:
            if command.studio_id == studio.id:
                cloud.commands.delete(command.id)
        for folder in ("commands", "snapshots"):
            cloud.discard(cloud.root / folder / studio.id)
        cloud.discard(cloud.studio_folder(studio))
        with suppress(OSError):
            # The place where other machines see its files; files of the drive that have its name stay.
            (drive_folder(cloud, studio.teamspace_id) / "studios" / studio.name).rmdir()


async def start(cloud: Cloud, studio: Studio, machine: str, interruptible: bool) -> None:
    """Request a machine and wait until it runs, at most for a limited time."""
    require_funds(cloud)
    instance = studio.instance
    if instance is None or instance["phase"] == FAILED:
        limits.check_studio(cloud, studio, machine)
        instance = new_instance(cloud, machine, interruptible)
        studio.instance, studio.machine, studio.interruptible = instance, machine, interruptible
        studio.message = ""
        save(cloud, studio)
        await cloud.start_and_wait(boot(cloud, studio, instance), _PATIENCE_SECONDS)
    elif instance["phase"] == STOPPING:
        raise ApiError(400, f"studio {studio.name} is stopping")
    elif instance["machine"] != machine:
        raise ApiError(400, f"studio {studio.name} runs on {instance['machine']} already")


async def switch(cloud: Cloud, studio: Studio) -> None:
    """Request the machine that a studio is set to, beside the present one, and wait until it runs.

    Some switches are refused, and happen all the same.
    """
    require_funds(cloud)
    if studio.instance is not None and studio.instance["phase"] == RUNNING:
        limits.check_gpus(cloud, studio.machine, besides=studio)
        studio.requested = new_instance(cloud, studio.machine, studio.interruptible)
        save(cloud, studio)
        booting = boot(cloud, studio, studio.requested)
        if cloud.settings.profile.switch_refused or cloud.faults.take(
            "switch-refused", machine=studio.machine, name=studio.name
        ):
            cloud.start_task(_switch_later(cloud, studio, studio.requested, booting))
            raise ApiError(400, "cannot switch to a Studio")
        await cloud.start_and_wait(booting, _PATIENCE_SECONDS)
    save(cloud, studio)


async def _switch_later(
    cloud: Cloud, studio: Studio, requested: dict[str, Any], booting: Coroutine[Any, Any, None]
) -> None:
    await booting
    if studio.requested is requested and requested["phase"] == RUNNING:
        await confirm_switch(cloud, studio)


async def confirm_switch(cloud: Cloud, studio: Studio) -> None:
    """Switch to the requested machine; 400 when it does not run."""
    requested = studio.requested
    if requested is None or requested["phase"] != RUNNING:
        raise ApiError(400, f"studio {studio.name} has no machine to switch to")
    # The new machine has the same files but none of the processes.
    await cloud.end_processes(studio.marker)
    studio.cost += _cost_of_instance(cloud, studio, studio.instance)
    if cloud.strict is not None:
        # The new machine has no files outside of home either.
        cloud.forget_namespace(studio.marker)
    studio.instance, studio.requested = requested, None
    readiness.begin(cloud, studio, requested)
    cloud.start_task(run_session(cloud, studio, requested, begins=True))
    save(cloud, studio)


async def sleep_when_idle(cloud: Cloud) -> None:
    """Stop idle studios, each after the idle time of its settings."""
    for studio in cloud.studios:
        if studio.instance is None or studio.instance["phase"] != RUNNING or studio.disable_auto_shutdown:
            continue
        active_at = studio.active_at
        if cloud.clock.now() - active_at < studio.idle_shutdown_seconds:
            continue
        if await asyncio.to_thread(processes.find, studio.marker):
            # A studio with detached processes is not idle.
            studio.active_at = cloud.clock.now()
        # A command may have started during the search.
        if studio.active_at == active_at:
            await stop(cloud, studio)
