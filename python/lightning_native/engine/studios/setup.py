"""The set-up of a studio for steps: the agent, the code, packages, requirements and commands."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from shlex import join, quote

from lightning_native.agent_protocol import PACKAGE, REMOTE_HOME, OperationSpec
from lightning_native.child_process import module_arguments
from lightning_native.engine.context import RunContext
from lightning_native.engine.plan import Setup
from lightning_native.engine.record.run_folder import OwnWheel
from lightning_native.engine.studios.agent_client import Agent, Operation
from lightning_native.engine.studios.install_credentials import InstallCredentials, Masked, secret_values
from lightning_native.engine.studios.interpreter import Interpreter, OtherPython, expected_python, python_difference
from lightning_native.engine.studios.replaced_packages import replaced_packages, reporting
from lightning_native.errors import CloudError
from lightning_native.home import private, write_private
from lightning_native.lightning.cloud import StudioHandle
from lightning_native.lightning.machine_python import is_local
from lightning_native.user_input.url_credentials import credential_variables, variables_in

_PACKAGES = """\
missing=
for package in {packages}; do
    [ "$(dpkg-query -W -f '${{db:Status-Status}}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
    as_root=
    [ "$(id -u)" = 0 ] || as_root='sudo -n'
    $as_root apt-get update
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
fi"""
# Python may answer before uv does; a refusal may have exit code 0, and would pass for an installation.
_UNTIL_READY = """\
i=0
while uv --version 2>&1 | grep -q 'still setting things up'; do
    [ $i -gt 0 ] || echo 'the studio is still being set up by Lightning; waiting until uv works'
    i=$((i+1))
    [ $i -lt 900 ] || { echo 'uv does not work after half an hour' >&2; exit 1; }
    sleep 2
done"""
_UV = """\
command -v uv >/dev/null 2>&1 || (cd / && {python} -m pip install --quiet uv)
uv pip install --python {python} {arguments} {what}"""
# An environment that uv has created has no pip.
_PIP = """\
if (cd / && {python} -c 'import pip') 2>/dev/null; then
    {python} {pip} install {arguments} {what}
else
    uv pip install --python {python} {arguments} {what}
fi"""
_INSTALLERS = {"uv": _UV, "pip": _PIP}
# The installation waits for the uploaded bytes, because an upload is not always visible at once.
_OWN_WHEEL_ARRIVED = """\
i=0
until printf '%s  %s\\n' {sha256} {file} | sha256sum --check --status 2>/dev/null; do
    i=$((i+1))
    [ $i -lt 600 ] || {{ echo "the upload of {file} did not arrive intact" >&2; exit 1; }}
    sleep 0.1
done"""
# No index is asked for this package, because an index may have another package under its name.
_OWN_ARGUMENTS = ("--no-deps", "--no-index", "--force-reinstall")
_FILE_OPTIONS = ("--index-url=", "--extra-index-url=", "--find-links=")
_SHOWN_LINES = 15


@dataclass(frozen=True)
class ReadyStudio:
    """A studio after its set-up; `code` and, if it has our package, `package` are folders below its home."""

    handle: StudioHandle
    agent: Agent
    interpreter: Interpreter
    code: str
    package: str | None = None

    def operation(self, operation_id: str) -> Operation:
        """Return the operation of this id in the studio."""
        return Operation(self.agent, self.handle, operation_id)


def set_up(
    handle: StudioHandle,
    context: RunContext,
    *,
    name: str,
    steps: Sequence[str],
    requirements: str,
    setup: Setup,
    kept: bool = False,
    python: str | None = None,
) -> ReadyStudio:
    """Upload the agent and the run's code to a running studio, and install everything that its steps need.

    Safe to repeat: finished work is not done again.

    Args:
        handle: the studio.
        context: the run.
        name: the studio's name, which is part of the name of the installation's log.
        steps: the steps that will run in it; a variable has the value of the first step that has it.
        requirements: the text of one requirements file.
        setup: the needs of the steps besides their requirements.
        kept: whether it is a studio of the user's, which earlier runs may have used.
        python: the only version of Python that the studio may have, such as `3.12`; None: any.

    Raises:
        OtherPython: the studio has another one; nothing is installed in it.
        CloudError: an upload or the installation failed; the message ends with the last lines of output.
    """
    cancellation = context.cancellation
    agent = Agent(handle, cancellation.pause, context.journal.event, lambda: cancellation.is_overdue)
    agent.install()
    interpreter = agent.interpreter()
    _note_python(context, handle, interpreter, kept=kept)
    if python not in (None, interpreter.python):
        raise OtherPython(interpreter)
    code = context.folder.code()
    with context.activities.doing(f"uploading the code to studio {handle.name}", code.archive):
        ready = ReadyStudio(handle, agent, interpreter, agent.unpack(code, maybe_there=kept))
    if any(context.plan.step(step).package for step in steps):
        package = agent.unpack(context.folder.own_package(), PACKAGE, maybe_there=kept)
        ready = replace(ready, package=package)
    commands = (*context.plan.custom_commands, *setup.commands)
    if requirements or setup.packages or commands or context.folder.own_wheel():
        setup = replace(setup, commands=commands)
        with context.activities.doing(f"installing what {name} needs in studio {handle.name}"):
            _install(ready, context, name, requirements, setup, setup_variables(context, steps), kept=kept)
    return ready


def report_difference(context: RunContext) -> None:
    """Record, before anything is created, that the machines' Python differs from the submitter's."""
    machines = expected_python(context.journal.journal, context.cloud_name, context.cloud.machine_python)
    difference = python_difference(context.plan, machines, local=is_local(os.environ))
    if difference:
        context.journal.event(difference)


def _note_python(context: RunContext, handle: StudioHandle, interpreter: Interpreter, *, kept: bool) -> None:
    """Record the Python of a studio, and an event if it is not the expected one."""
    journal, cloud = context.journal.journal, context.cloud_name
    expected = expected_python(journal, cloud, context.cloud.machine_python)
    if interpreter.python != expected:
        found = f"Python {interpreter.version} ({interpreter.executable})"
        context.journal.event(f"studio {handle.name} has {found}, where {expected} was expected")
    if not kept:
        # A studio of the user's proves nothing about new ones, because its Python may have been changed.
        journal.machine_python_found(cloud, interpreter.python)


def setup_variables(context: RunContext, steps: Sequence[str]) -> dict[str, str]:
    """Return the variables, with their values, that the set-up for these steps gets."""
    variables: dict[str, str] = {}
    for step in steps:
        environment = context.variables.get(step, {})
        for name in _visible(context, step):
            if name in environment:
                variables.setdefault(name, environment[name])
    return variables


def described_variables(context: RunContext, step: str) -> dict[str, str]:
    """Return the set-up's variables that can change an environment: all but those of accounts in URLs."""
    accounts = credential_variables(_texts(context, step))
    return {name: value for name, value in setup_variables(context, [step]).items() if name not in accounts}


def _visible(context: RunContext, step: str) -> tuple[str, ...]:
    """Return the names of the variables that a step's set-up gets: those it lists, and those its texts refer to."""
    return (*context.plan.step(step).setup.variables, *variables_in(_texts(context, step), bare=True))


def _texts(context: RunContext, step: str) -> list[str]:
    planned = context.plan.step(step)
    texts = [text for _, text in planned.requirements]
    return [*texts, *planned.setup.installer_arguments, *planned.setup.commands, *context.plan.custom_commands]


def _install(
    ready: ReadyStudio,
    context: RunContext,
    name: str,
    requirements: str,
    setup: Setup,
    variables: Mapping[str, str],
    *,
    kept: bool,
) -> None:
    label = f"setup-{name}"
    options, setup = _options_for_file(setup)
    credentials = InstallCredentials.of("".join(f"{option}\n" for option in options) + requirements)
    requirements = credentials.requirements
    own_wheel = context.folder.own_wheel()
    install_own: list[str] = []
    if own_wheel:
        path = _upload_own_wheel(ready, own_wheel)
        install_own = [
            _OWN_WHEEL_ARRIVED.format(sha256=own_wheel.sha256, file=path),
            _installing(setup.installer, ready.interpreter, _OWN_ARGUMENTS, path),
        ]
        requirements = f"{requirements.rstrip()}\n{path}[{own_wheel.extra}]\n"
    remote = f"{hashlib.sha256(requirements.encode()).hexdigest()[:32]}.requirements.txt"
    if requirements:
        local = context.folder.path / remote
        write_private(local, requirements)
        ready.agent.upload(local, f"{REMOTE_HOME}/{remote}")
    path = f"../../{remote}" if requirements else ""
    script = _script(path, setup, credentials, ready.interpreter, install_own, kept=kept)
    log_path = context.folder.log(label)
    known = log_path.stat().st_size if log_path.exists() else 0
    shown = Masked(secret_values(variables, _secret_texts(context)))
    with open(log_path, "ab", buffering=0, opener=private) as log:
        try:
            outcome = ready.operation(context.operation_id(label, 1)).run(
                OperationSpec(
                    argv=["sh", "-c", script], cwd=f"~/{ready.code}", env=variables, bin=ready.interpreter.bin
                ),
                output=lambda data: log.write(shown.feed(data)),
                offset=known,
            )
        finally:
            log.write(shown.end())
    replaced = replaced_packages(log_path.read_bytes()[known:].decode(errors="replace"))
    if kept and replaced:
        context.journal.event(f"studio {ready.handle.name} had other versions: {'; '.join(replaced)}")
    if variables:
        # The output in the studio has no stars. A run that is resumed after this installs once more.
        with suppress(CloudError):
            ready.agent.forget(context.operation_id(label, 1))
    if outcome.exit_code != 0:
        tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-_SHOWN_LINES:])
        raise CloudError(
            f"studio {ready.handle.name!r} cannot be set up for {name!r} (exit code {outcome.exit_code}):\n{tail}"
        )


def _secret_texts(context: RunContext) -> list[str]:
    return [text for step in context.plan.steps for text in _texts(context, step.name)]


def _options_for_file(setup: Setup) -> tuple[list[str], Setup]:
    """Return the options that go into the requirements file, where variables get values, and the setup without them.

    In a command line, every user of the machine could read the values.
    """
    moved = [
        argument
        for argument in setup.installer_arguments
        if argument.startswith(_FILE_OPTIONS) and variables_in([argument])
    ]
    rest = tuple(argument for argument in setup.installer_arguments if argument not in moved)
    return moved, replace(setup, installer_arguments=rest)


def _upload_own_wheel(ready: ReadyStudio, wheel: OwnWheel) -> str:
    """Upload the wheel of this package, and return its path relative to the code's folder, where installers run."""
    remote = f"{REMOTE_HOME}/wheels/{wheel.sha256[:32]}/{wheel.path.name}"
    ready.agent.upload(wheel.path, remote)
    return os.path.relpath(remote, ready.code)


def _installing(installer: str, interpreter: Interpreter, arguments: Sequence[str], what: str) -> str:
    return _INSTALLERS[installer].format(
        python=quote(interpreter.executable),
        pip=join(module_arguments("pip")),
        arguments=join(arguments),
        what=what,
    )


def _script(
    requirements: str,
    setup: Setup,
    credentials: InstallCredentials,
    interpreter: Interpreter,
    install_own: Sequence[str],
    *,
    kept: bool,
) -> str:
    lines = ["set -eu", join(["echo", f"Python {interpreter.version} at {interpreter.executable}"])]
    if setup.packages:
        lines.append(_PACKAGES.format(packages=join(setup.packages)))
    lines += [_UNTIL_READY, *install_own]
    if requirements:
        line = _installing(setup.installer, interpreter, setup.installer_arguments, f"-r {quote(requirements)}")
        install = [*credentials.before, line, *credentials.after]
        lines += reporting(install, interpreter) if kept else install
    for command in setup.commands:
        lines += [f"printf '+ %s\\n' {quote(command)}", f"sh -euc {quote(command)}"]
    return "\n".join(lines)
