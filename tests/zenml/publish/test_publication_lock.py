"""The process that publishes a run's end may run on another machine, and may die."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from uuid import uuid4

import pytest

from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.zenml.publish import observer as observer_module
from lightning_native.zenml.publish.publication_lock import (
    PROMISE,
    end_publication,
    is_promised,
    is_promised_elsewhere,
    wait_for_promise,
)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def test_the_right_to_publish_is_given_back_by_who_dies_without_publishing(folder: RunFolder) -> None:
    holder = "import sys, time; from pathlib import Path\n"
    holder += "from lightning_native.engine.record.run_folder import RunFolder\n"
    holder += "from lightning_native.zenml.publish.publication_lock import end_publication\n"
    holder += "with end_publication(RunFolder(Path(sys.argv[1]))):\n    print('UP', flush=True)\n    time.sleep(60)\n"
    process = subprocess.Popen([sys.executable, "-c", holder, str(folder.path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"UP\n"
    assert is_promised(folder)
    process.kill()
    process.communicate()
    with end_publication(folder) as publication:
        assert not publication.is_done
        publication.done()
    with end_publication(folder) as publication:
        assert publication.is_done


def test_a_promise_from_elsewhere_counts_for_as_long_as_it_is_renewed(folder: RunFolder) -> None:
    assert not is_promised(folder)
    promise = folder.path / PROMISE
    promise.touch()
    assert is_promised(folder)
    assert is_promised_elsewhere(folder)
    minute_ago = time.time() - 60
    os.utime(promise, (minute_ago, minute_ago))
    assert not is_promised(folder)
    before = signal.getsignal(signal.SIGTERM)
    wait_for_promise(folder)
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_threads_of_a_controller_load_zenml_one_after_another(folder: RunFolder) -> None:
    observer = observer_module.ZenMLObserver(folder, uuid4())
    other = threading.Thread(target=observer.on_stop)
    with observer_module._LOADING:
        other.start()
        other.join(0.5)
        assert other.is_alive()
    other.join()
