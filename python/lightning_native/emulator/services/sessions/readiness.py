"""The time in which a studio runs but is not ready: its files are being restored, its aliases refuse to work."""

from typing import Any

from lightning_native.emulator.host import aliases
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.faults import Fault
from lightning_native.emulator.state.records import Studio

_POLL_SECONDS = 0.1


def begin(cloud: Cloud, studio: Studio, instance: dict[str, Any]) -> None:
    """Let a studio whose machine begins to run become ready in its time; the caller saves the studio."""
    fault = cloud.faults.take("start-blocks", machine=instance["machine"], name=studio.name)
    instance["in_use_at"] = cloud.clock.now()
    instance["restored"] = fault is None and not cloud.settings.profile.restore_seconds
    resume(cloud, studio, instance, fault)


def resume(cloud: Cloud, studio: Studio, instance: dict[str, Any], fault: Fault | None = None) -> None:
    """Let a studio that runs become ready in the time that is left."""
    if not instance.get("restored", True):
        cloud.start_task(_restore(cloud, studio, instance, fault))
    if cloud.settings.profile.ready_seconds:
        marker = cloud.setting_up(studio)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        if cloud.strict is None:
            aliases.write(cloud.aliases(studio), marker)
        cloud.start_task(_become_ready(cloud, studio, instance))
    else:
        # An earlier server may have had another profile.
        cloud.setting_up(studio).unlink(missing_ok=True)


async def _become_ready(cloud: Cloud, studio: Studio, instance: dict[str, Any]) -> None:
    await cloud.clock.sleep(_begun(cloud, instance) + cloud.settings.profile.ready_seconds)
    if studio.instance is instance:
        cloud.setting_up(studio).unlink(missing_ok=True)


async def _restore(cloud: Cloud, studio: Studio, instance: dict[str, Any], fault: Fault | None) -> None:
    await cloud.clock.sleep(_begun(cloud, instance) + cloud.settings.profile.restore_seconds)
    while fault is not None and cloud.faults.has(fault) and studio.instance is instance:
        await cloud.clock.sleep(_POLL_SECONDS * cloud.clock.rate)
    instance["restored"] = True
    if cloud.studios.get(studio.id) is studio:
        cloud.studios.save(studio)


def _begun(cloud: Cloud, instance: dict[str, Any]) -> float:
    """Return the time at which a machine began to run, in seconds from now."""
    return float(instance["in_use_at"]) - cloud.clock.now()
