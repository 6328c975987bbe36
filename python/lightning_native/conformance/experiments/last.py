"""The last experiments with the suite's studio: another machine for it, and its end."""

import threading
from typing import Any

from lightning_native.conformance.experiment import Bench, Experiment, Seen, stage
from lightning_native.conformance.experiments.common import FOLDER, exists, upload
from lightning_native.conformance.experiments.jobs import ENDS, JOB
from lightning_native.conformance.experiments.others import PIPELINE, REFUSALS, TWO
from lightning_native.conformance.experiments.studio import STUDIO
from lightning_native.errors import LightningNativeError
from lightning_native.lightning.inspection.records import studio_record, switch_blocking
from lightning_native.lightning.studios import LightningStudio

OTHER_MACHINE, OTHER_SLUG = "CPU_X_8", "cpu-8"
_SWITCH_SECONDS, _STOP_SECONDS = 900.0, 600.0
_LEFT = "/tmp/conformance-left"  # noqa: S108 - a path on another machine


def _switch(bench: Bench, seen: Seen) -> None:
    studio: LightningStudio = bench.results["studio"]["studio"]
    studio.run(["touch", _LEFT])
    call: dict[str, Any] = {}

    def switch() -> None:
        try:
            switch_blocking(studio, OTHER_MACHINE)
            call["error"] = ""
        except LightningNativeError as error:
            call["error"] = str(error)

    bench.check()
    bench.held.enter_context(bench.machine(OTHER_MACHINE))
    # In a thread of its own, because the call can last for ever.
    threading.Thread(target=switch, daemon=True).start()
    seen["switched"] = bool(
        bench.wait(
            lambda: (record := studio_record(studio)).phase == "running" and record.machine == OTHER_SLUG,
            _SWITCH_SECONDS,
        )
    )
    bench.wait(lambda: "error" in call, _SWITCH_SECONDS)
    seen["switch_error"] = call.get("error", "the call has not returned")
    with stage(seen):
        seen["files_after_switch"] = bool(bench.wait(lambda: exists(studio, f"{FOLDER}/note"), _STOP_SECONDS))
        seen["tmp_after_switch"] = exists(studio, _LEFT)
        seen["user"] = bench.results["studio"]["facts"]["user"]


def _end(bench: Bench, seen: Seen) -> None:
    studio: LightningStudio = bench.results["studio"]["studio"]
    studio.release(delete=False)
    seen["stopped"] = bool(bench.wait(lambda: studio_record(studio).phase in ("", "stopped"), _STOP_SECONDS))
    bench.held.close()
    with stage(seen):
        upload(studio, "while it is stopped\n", f"{FOLDER}/stopped")
        studio.remove(f"{FOLDER}/stopped")
        studio.remove(f"{FOLDER}/stopped")
        seen["files_while_stopped"] = True
    studio.release(delete=True)
    seen["gone"] = bool(bench.wait(lambda: bench.cloud.find_studio(studio.name) is None, _STOP_SECONDS))
    studio.release(delete=True)
    seen["deleted_twice"] = True


SWITCH = Experiment(
    "switch", "switches the studio to another machine", _switch, machine=OTHER_MACHINE, seconds=300, billed=300,
    needs=(STUDIO,), after=(JOB, ENDS, TWO, PIPELINE, REFUSALS),
)  # fmt: skip
END = Experiment(
    "end", "stops the studio and deletes it", _end, seconds=120,
    needs=(STUDIO,), after=(JOB, ENDS, TWO, PIPELINE, REFUSALS, SWITCH),
)  # fmt: skip
