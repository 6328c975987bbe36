"""The software of the platform's own machines; machines that are this computer cannot show it."""

from typing import Any

from lightning_native.conformance.check import Outcome, Topic, holds, not_checkable
from lightning_native.conformance.experiment import Seen, UnseenError
from lightning_native.conformance.experiments.common import OTHER_SOFTWARE, PLATFORM_USER
from lightning_native.conformance.experiments.last import SWITCH
from lightning_native.conformance.experiments.studio import STUDIO

TOPIC = Topic("Software")


def _image(seen: Seen) -> dict[str, Any]:
    if "image" not in seen["facts"]:
        raise UnseenError(OTHER_SOFTWARE)
    found: dict[str, Any] = seen["facts"]["image"]
    return found


def _refused(seen: Seen, name: str) -> Outcome:
    """Return whether a tool refuses to work, with the end of what it printed."""
    _image(seen)
    output, code = seen["tools"][name]
    return holds(code != 0, f"exit code {code}: {output[-200:]}")


@TOPIC.check(STUDIO, "python -V tells 3.12")
def studio_has_python_3_12(seen: Seen) -> Outcome:
    """The Python of a studio is 3.12."""
    _image(seen)
    return holds(seen["facts"]["python"] == "3.12", f"Python {seen['facts']['python']}")


@TOPIC.check(STUDIO, "an interpreter below an environment called cloudspace")
def python_is_in_the_cloudspace_environment(seen: Seen) -> Outcome:
    """The Python of a studio belongs to the one conda environment, cloudspace."""
    _image(seen)
    return holds("/envs/cloudspace/" in seen["facts"]["executable"], seen["facts"]["executable"])


@TOPIC.check(STUDIO, "an exit code other than 0")
def venv_is_refused(seen: Seen) -> Outcome:
    """`python -m venv` is refused in a studio."""
    return _refused(seen, "venv")


@TOPIC.check(STUDIO, "an exit code other than 0")
def conda_create_is_refused(seen: Seen) -> Outcome:
    """`conda create` is refused in a studio."""
    return _refused(seen, "conda")


@TOPIC.check(STUDIO, "an exit code other than 0")
def uv_run_fails(seen: Seen) -> Outcome:
    """`uv run` fails in a studio, because UV_LIGHTNING_VIRTUALENV_ROOT names a folder that is not there."""
    return _refused(seen, "uv_run")


@TOPIC.check(STUDIO, "a version 1 of NumPy")
def preinstalled_numpy_is_1(seen: Seen) -> Outcome:
    """The preinstalled packages are built for NumPy 1."""
    code, output = _image(seen)["numpy"]
    return holds(code == 0 and output.startswith("1."), output)


@TOPIC.check(STUDIO, "exit code 0 without a terminal")
def sudo_asks_nothing(seen: Seen) -> Outcome:
    """Sudo works in a studio without a password and without a terminal, so that set-up can install packages."""
    if _image(seen)["sudo"] == -1:
        return not_checkable("there is no sudo")
    return holds(_image(seen)["sudo"] == 0, f"exit code {_image(seen)['sudo']}")


@TOPIC.check(SWITCH, "the file is gone")
def tmp_is_gone_on_another_machine(seen: Seen) -> Outcome:
    """A studio's /tmp is gone when it has another machine."""
    if seen["user"] != PLATFORM_USER:
        return not_checkable(OTHER_SOFTWARE)
    return holds(not seen["tmp_after_switch"])
