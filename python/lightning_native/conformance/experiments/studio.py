"""The studio of a run of the suite, from its creation to the facts of its machine; other experiments use it."""

import threading
from typing import Any

from lightning_native.conformance.experiment import Bench, Experiment, Seen, UnseenError, stage
from lightning_native.conformance.experiments.common import (
    FOLDER,
    PLATFORM_USER,
    PROBE,
    exists,
    file_with,
    find_facts,
    probe_program,
    upload,
)
from lightning_native.errors import LightningNativeError
from lightning_native.lightning.inspection.records import start_blocking, studio_account, studio_record
from lightning_native.lightning.jobs import DRIVE_CONNECTION
from lightning_native.lightning.studios import LightningStudio

MACHINE = "CPU"
_SETTING_UP = "still setting"
_START_SECONDS, _READY_SECONDS, _FILE_SECONDS, _DRIVE_SECONDS = 1800.0, 1800.0, 120.0, 300.0
_ON_START = f"touch ~/{FOLDER}/on-start-ran\n"
_STUDIORC = "export CONFORMANCE_STUDIORC=yes\n"
# Files that no upload makes.
_MAKE = f"cd {FOLDER} && ln -s note link && mkdir -p .git && touch .git/HEAD"
_TOOLS = {
    "venv": ("python", "-m", "venv", f"{FOLDER}/venv"),
    "conda": ("conda", "create", "-y", "-n", "conformance", "python"),
    "uv_run": ("uv", "run", "--no-project", "python", "-V"),
}
_DETACH = f"nohup sh -c 'sleep 2; touch {FOLDER}/detached' > /dev/null 2>&1 &"


def _use(bench: Bench, seen: Seen) -> None:
    name = seen["asked_name"] = bench.name("studio")
    bench.lease("studio", name)
    studio = seen["studio"] = bench.cloud.create_studio(name)
    seen["name"], seen["account"] = studio.name, studio_account(studio)
    seen["new_phase"] = studio_record(studio).phase
    for text, remote in (
        (probe_program(), PROBE),
        ("a note\n", f"{FOLDER}/note"),
        (_ON_START, ".lightning_studio/on_start.sh"),
        (_STUDIORC, ".lightning_studio/.studiorc"),
    ):
        upload(studio, text, remote)
    other = _create_another(bench)
    _start(bench, seen, studio)
    with stage(seen):
        seen["upload_before_start"] = exists(studio, f"{FOLDER}/note")
        seen["on_start"] = bool(bench.wait(lambda: exists(studio, f"{FOLDER}/on-start-ran"), _FILE_SECONDS))
    with stage(seen):
        _look(bench, seen, studio)
    with stage(seen):
        _move_files(bench, seen, studio)
    with stage(seen):
        _use_drive(bench, seen, studio)
    with stage(seen):
        there = f"/teamspace/studios/{other.name}/{FOLDER}/note"
        seen["other_seconds"] = bench.time_until(lambda: exists(studio, there), _FILE_SECONDS)
        other.release(delete=True)


def _start(bench: Bench, seen: Seen, studio: LightningStudio) -> None:
    call: dict[str, Any] = {}

    def start() -> None:
        try:
            start_blocking(studio, MACHINE)
        except LightningNativeError as error:
            call["error"] = str(error)
        call["returned"] = bench.now()

    bench.check()
    bench.held.enter_context(bench.machine(MACHINE))
    asked = bench.now()
    # In a thread of its own, because the call can last for ever.
    threading.Thread(target=start, daemon=True).start()
    running = bench.wait(lambda: bench.now() if studio_record(studio).phase == "running" else None, _START_SECONDS)
    if running is None:
        raise UnseenError(f"the studio did not start: {call.get('error', 'it is still pending')}")
    record = studio_record(studio)
    seen["boot_seconds"], seen["machine"], seen["studio_price"] = running - asked, record.machine, record.price
    _wait_until_ready(bench, seen, studio, running)
    seen["start_returned"] = bool(bench.wait(lambda: "returned" in call, _READY_SECONDS))
    seen["start_error"] = call.get("error", "")
    if seen["start_returned"]:
        # The call itself looks once in a real second, which is long for a fast clock.
        blocked = call["returned"] - running - (bench.rate if bench.rate > 1 else 0.0)
        seen["restore_seconds"] = max(0.0, blocked, seen.get("restored", running) - running)


def _wait_until_ready(bench: Bench, seen: Seen, studio: LightningStudio, running: float) -> None:
    refused: list[tuple[str, int]] = []

    def is_ready() -> bool:
        if "restored" not in seen and studio_record(studio).restored:
            seen["restored"] = bench.now()
        output, code = studio.run(["python", "-V"])
        if code == 0 and _SETTING_UP not in output:
            seen["python_answer"] = output
            return True
        if not refused:
            seen["others_while_refused"] = studio.run(["sh", "-c", "echo works"])
        refused.append((output, code))
        return False

    if not bench.wait(is_ready, _READY_SECONDS):
        raise UnseenError("the studio did not become ready within half an hour")
    seen["ready_seconds"] = bench.now() - running
    seen["refused"] = refused


def _look(bench: Bench, seen: Seen, studio: LightningStudio) -> None:
    studio.run(["sh", "-c", _MAKE])
    output, _ = studio.run(["python", PROBE, "studio", bench.mark])
    found = find_facts(output, bench.mark)
    if found:
        seen["facts"] = found[0]
        if found[0]["user"] == PLATFORM_USER:
            # Each in a command of its own, because the refusals are in what a shell finds first.
            seen["tools"] = {name: studio.run(command) for name, command in _TOOLS.items()}
    seen["exit"] = studio.run(["sh", "-c", "echo out; echo err >&2; exit 7"])
    studio.run(["sh", "-c", _DETACH])
    seen["detached"] = bool(bench.wait(lambda: exists(studio, f"{FOLDER}/detached"), _FILE_SECONDS))
    try:
        seen["binary_output"] = repr(studio.run(["printf", r"\377"])[0])
    except LightningNativeError as error:
        seen["binary_error"] = str(error)


def _move_files(bench: Bench, seen: Seen, studio: LightningStudio) -> None:
    upload(studio, "late\n", f"{FOLDER}/late")
    seen["upload_seconds"] = bench.time_until(lambda: exists(studio, f"{FOLDER}/late"), _FILE_SECONDS)
    studio.remove(f"{FOLDER}/late")
    seen["removed"] = bool(bench.wait(lambda: not exists(studio, f"{FOLDER}/late"), _FILE_SECONDS))


def _use_drive(bench: Bench, seen: Seen, studio: LightningStudio) -> None:
    folder = f"conformance-{bench.token}"
    bench.lease("folder", folder)
    with file_with("on the drive\n") as path:
        bench.cloud.upload_to_drive(path, f"{folder}/file")
    there = f"/teamspace/lightning_storage/{DRIVE_CONNECTION}/{folder}/file"
    seen["drive_seconds"] = bench.time_until(lambda: exists(studio, there), _DRIVE_SECONDS)


def _create_another(bench: Bench) -> LightningStudio:
    """Return a second studio with a file, which is never started."""
    name = bench.name("other")
    bench.lease("studio", name)
    other = bench.cloud.create_studio(name)
    upload(other, "of another studio\n", f"{FOLDER}/note")
    return other


STUDIO = Experiment(
    "studio", "creates a studio, starts it, and looks around in it", _use, machine=MACHINE, seconds=600, billed=1500
)
