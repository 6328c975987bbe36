"""The audit of dependencies: known vulnerabilities, licences and sources of Rust crates and Python packages.

The output ends with one line a part, with what was checked and what was not. The exit code is 1 if something was found.
A check without a reachable advisory database is reported, and fails nothing.
"""

import json
import subprocess
import sys
from collections import Counter


def run(*argv: str) -> "subprocess.CompletedProcess[str]":
    """Run a command, and accept any exit code."""
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def audit_crates() -> tuple[bool, list[str]]:
    """Check crates; return whether all is well, and the lines of the report."""
    checked = run("cargo", "deny", "--color", "never", "check", "bans", "licenses", "sources")
    lines = [] if checked.returncode == 0 else [checked.stderr.strip()]
    lines.append(f"crates: bans, licenses and sources: {'ok' if checked.returncode == 0 else 'FAILED'}")
    advisories = run("cargo", "deny", "--color", "never", "check", "advisories")
    if advisories.returncode == 0:
        lines.append("crates: advisories: none")
    elif "failed to fetch advisory database" in advisories.stderr:
        lines.append("crates: advisories: NOT CHECKED, the advisory database cannot be reached from here")
    else:
        lines += [advisories.stderr.strip(), "crates: advisories: FAILED"]
        return False, lines
    return checked.returncode == 0, lines


def audit_packages(uv: str) -> tuple[bool, list[str]]:
    """Check the locked Python packages of all extras."""
    locked = run(uv, "export", "--frozen", "--all-extras", "--no-hashes", "--no-emit-project", "--quiet")
    if locked.returncode:
        return False, [locked.stderr.strip(), "packages: FAILED, the lock file cannot be read"]
    # The export has markers, so packages of other platforms are listed as well.
    argv = (uv, "tool", "run", "--quiet", "pip-audit", "--disable-pip", "--no-deps", "--progress-spinner=off")
    audited = subprocess.run(
        [*argv, "--format=json", "--requirement=/dev/stdin"],
        input=locked.stdout,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        dependencies = json.loads(audited.stdout)["dependencies"]
    except (ValueError, KeyError):
        return True, [f"packages: advisories: NOT CHECKED: {audited.stderr.strip()[-500:]}"]
    counted = Counter("skipped" if "skip_reason" in each else "asked" for each in dependencies)
    found = [
        f"{each['name']} {each['version']}: {vulnerability['id']}, mended in {vulnerability['fix_versions']}"
        for each in dependencies
        for vulnerability in each.get("vulns", ())
    ]
    lines = [*found, f"packages: advisories: {len(found)} found, {counted['asked']} packages checked"]
    if counted["skipped"]:
        lines.append(
            f"packages: advisories: {counted['skipped']} packages NOT CHECKED, this package index has no advisories"
        )
    return not found, lines


def main() -> int:
    """Check both; return the exit code."""
    crates, about_crates = audit_crates()
    packages, about_packages = audit_packages(sys.argv[1])
    print("\n".join([*about_crates, *about_packages]))
    return 0 if crates and packages else 1


if __name__ == "__main__":
    sys.exit(main())
