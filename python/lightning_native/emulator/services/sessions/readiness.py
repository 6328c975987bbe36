"""The time in which a studio runs but is not ready: its files are being restored, its aliases refuse to work."""

from pathlib import Path
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
        marker = _marker(cloud, studio)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        if cloud.strict is None:
            aliases.write(_aliases(cloud, studio), marker)
        cloud.start_task(_become_ready(cloud, studio, instance))


def aliases_of(cloud: Cloud, studio: Studio) -> Path | None:
    """Return the folder with the aliases of a studio that is not ready; a strict machine has its own."""
    return _aliases(cloud, studio) if cloud.strict is None and _marker(cloud, studio).exists() else None


def _aliases(cloud: Cloud, studio: Studio) -> Path:
    return cloud.root / "commands" / studio.id / "aliases"


def _marker(cloud: Cloud, studio: Studio) -> Path:
    """Return the file that is there while a studio is not ready."""
    if cloud.strict is not None:
        return cloud.strict.setting_up(studio.marker)
    return cloud.root / "commands" / studio.id / "setting-up"


async def _become_ready(cloud: Cloud, studio: Studio, instance: dict[str, Any]) -> None:
    await cloud.clock.sleep(_since(cloud, instance) + cloud.settings.profile.ready_seconds)
    if studio.instance is instance:
        _marker(cloud, studio).unlink(missing_ok=True)


async def _restore(cloud: Cloud, studio: Studio, instance: dict[str, Any], fault: Fault | None) -> None:
    await cloud.clock.sleep(_since(cloud, instance) + cloud.settings.profile.restore_seconds)
    while fault is not None and cloud.faults.has(fault) and studio.instance is instance:
        await cloud.clock.sleep(_POLL_SECONDS * cloud.clock.rate)
    instance["restored"] = True
    if cloud.studios.get(studio.id) is studio:
        cloud.studios.save(studio)


def _since(cloud: Cloud, instance: dict[str, Any]) -> float:
    """Return the time since a machine began to run, as seconds to subtract."""
    return float(instance["in_use_at"]) - cloud.clock.now()
