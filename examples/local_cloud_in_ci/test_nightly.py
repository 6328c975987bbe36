"""Tests of `nightly.py` without an account: the fixture `lightning_cloud` is a cloud of the test session's own.

    pip install 'lightning-native[engine,emulator]' pytest scikit-learn
    pytest examples/local_cloud_in_ci

The workflow `lightning.yml` does that on GitHub. What imports the SDK is imported in the tests: the SDK reads its
cloud's address once, and the fixture has set it by then.
"""

from pathlib import Path

import pytest

from lightning_native.emulator import LocalCloud

pytestmark = pytest.mark.usefixtures("lightning_cloud")


def studios() -> list[str]:
    from lightning_sdk import Teamspace

    return [studio.name for studio in Teamspace().studios]


def test_the_score_comes_back_and_the_studio_goes(tmp_path: Path) -> None:
    import nightly

    assert nightly.train("good", tmp_path) > 0.9
    assert studios() == []


def test_a_failed_training_shows_its_output_and_the_studio_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nightly

    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('no data today')")
    monkeypatch.setattr(nightly, "TRAINING", broken)
    with pytest.raises(nightly.TrainingError, match="no data today"):
        nightly.train("broken", tmp_path)
    assert studios() == []


def test_a_machine_that_does_not_start_leaves_no_studio(lightning_cloud: LocalCloud, tmp_path: Path) -> None:
    import nightly

    lightning_cloud.faults.add("boot-fails", name="unlucky")
    with pytest.raises(RuntimeError):
        nightly.train("unlucky", tmp_path)
    assert studios() == []
