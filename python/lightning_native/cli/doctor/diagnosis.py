"""The search for problems that keep runs from working; each finding has its remedy."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from lightning_native import merge_requirements
from lightning_native.cli.doctor.account import account_findings
from lightning_native.cli.doctor.finding import Finding
from lightning_native.engine.leases import dead_leases
from lightning_native.engine.own.wheel import own_wheel
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.journal_errors import damaged
from lightning_native.errors import ConflictError, CredentialsError, JournalError, LightningNativeError, PlanError
from lightning_native.home import home
from lightning_native.lightning.credentials import Credentials
from lightning_native.lightning.inspection.account import read_account
from lightning_native.lightning.sdk.version import how_to_install
from lightning_native.lightning.session import cloud_name, open_teamspace
from lightning_native.terminal import one_line

_OLDEST_PYTHON, _FIRST_UNTESTED_PYTHON = (3, 10), (3, 14)
# Room for archives, logs, and studios of the local cloud.
_LEAST_FREE_BYTES = 2 * 10**9


def diagnose() -> list[Finding]:
    """Check this machine, and the teamspace that this process's variables name. Nothing is changed."""
    checks: dict[str, Callable[[str], Finding]] = {
        "python": _python,
        "git": _git,
        "home": _home,
        "disk": _disk,
        "journal": _journal,
        "lightning-sdk": lambda name: _package(name, name, "engine"),
        "zenml": lambda name: _package(name, name, "zenml", optional=True),
        "wheel": _wheel,
        "credentials": _credentials,
        "teamspace": _teamspace,
        "leftovers": _leftovers,
    }
    findings = [_safely(name, check) for name, check in checks.items()]
    if all(finding.ok for finding in findings if finding.check in ("credentials", "teamspace")):
        findings += _account()
    return findings


def _account() -> list[Finding]:
    try:
        return list(account_findings(read_account(open_teamspace())))
    except LightningNativeError as error:
        return [Finding("account", False, f"cannot be read: {error}", "try again later")]


def _safely(name: str, check: Callable[[str], Finding]) -> Finding:
    try:
        return check(name)
    except JournalError as error:
        return Finding(name, False, "cannot be used", str(error))
    except (LightningNativeError, OSError) as error:
        return Finding(name, False, f"cannot be checked: {error}", "do what the message says, then look again")


def _python(name: str) -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    ok = _OLDEST_PYTHON <= sys.version_info[:2] < _FIRST_UNTESTED_PYTHON
    return Finding(name, ok, found, "" if ok else "use Python 3.10 to 3.13")


def _git(name: str) -> Finding:
    found = shutil.which("git")
    if found is None:
        return Finding(name, False, "not found", "install git: code repositories of ZenML and jobs from git need it")
    return Finding(name, True, found)


def _home(name: str) -> Finding:
    folder = home()
    ok = os.access(folder, os.W_OK | os.X_OK)
    return Finding(
        name, ok, str(folder), "" if ok else "make it writable, or set LIGHTNING_NATIVE_HOME to another folder"
    )


def _disk(name: str) -> Finding:
    free = shutil.disk_usage(home()).free
    found = f"{free / 1e9:.1f} GB free for {home()}"
    remedy = "free some space, or set LIGHTNING_NATIVE_HOME to a folder on another disk"
    return Finding(name, free >= _LEAST_FREE_BYTES, found, "" if free >= _LEAST_FREE_BYTES else remedy)


def _journal(name: str) -> Finding:
    with Journal() as journal:
        (row,) = journal.query("PRAGMA quick_check(1)")
        (problem,) = row.values()
        if problem != "ok":
            raise damaged(journal.path, one_line(str(problem)))
        return Finding(name, True, str(journal.path))


def _package(name: str, package: str, extra: str, *, optional: bool = False) -> Finding:
    tested = _tested_range(package)
    remedy = how_to_install(extra)
    try:
        installed = version(package)
    except PackageNotFoundError:
        if optional:
            return Finding(name, True, f"not installed; only pipelines of ZenML need it; {remedy}")
        return Finding(name, False, "not installed", remedy)
    try:
        merge_requirements([("installed", f"{package}=={installed}"), ("tested", f"{package}{tested}")])
    except ConflictError:
        return Finding(name, False, f"{installed}, which was not tested ({tested} was)", remedy)
    return Finding(name, True, installed)


def _wheel(name: str) -> Finding:
    try:
        with tempfile.TemporaryDirectory(prefix="lightning-native-wheel-") as folder:
            found = own_wheel(Path(folder)).name
    except PlanError as error:
        remedy = f"asynchronous and dynamic pipelines on Lightning need it: {error}"
        return Finding(name, False, "none for Linux on x86_64 can be had", remedy)
    return Finding(name, True, found)


def _tested_range(package: str) -> str:
    """Return the versions that our own metadata asks for, such as `>=1,<2`."""
    for requirement in requires("lightning-native") or ():
        text = requirement.partition(";")[0].strip()
        specifier = text.removeprefix(package).partition("]")
        if text.startswith(package):
            return specifier[2] if specifier[1] else specifier[0]
    return ""


def _credentials(name: str) -> Finding:
    credentials = Credentials.from_environment(os.environ)
    try:
        credentials.environ()
    except CredentialsError as error:
        return Finding(name, False, "incomplete", str(error))
    owner = credentials.organization or credentials.username
    return Finding(name, True, f"for teamspace {credentials.teamspace} of {owner}")


def _teamspace(name: str) -> Finding:
    try:
        Credentials.from_environment(os.environ).environ()
    except CredentialsError:
        return Finding(name, False, "not asked for", "set the credentials first")
    try:
        teamspace = open_teamspace()
    except CredentialsError as error:
        return Finding(name, False, "not reached", str(error))
    return Finding(name, True, f"{teamspace.name} of {teamspace.owner.name}")


def _leftovers(name: str) -> Finding:
    with Journal() as journal:
        leases = dead_leases(journal, cloud_name())
    if not leases:
        return Finding(name, True, "none")
    things = ", ".join(f"{lease.kind} {lease.name}" for lease in leases[:3])
    more = f" and {len(leases) - 3} more" if len(leases) > 3 else ""
    return Finding(name, False, f"dead runs hold {things}{more}", "release them with: lightning-native gc")
