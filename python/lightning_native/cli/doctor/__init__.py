"""`lightning-native doctor`: the problems that keep runs from working here, each with a remedy."""

import argparse
import json
from dataclasses import asdict

from lightning_native.cli.doctor.diagnosis import diagnose
from lightning_native.cli.doctor.finding import Finding
from lightning_native.cli.options.cloud import add_cloud_option
from lightning_native.cli.text.table import format_table
from lightning_native.lightning.local import cloud_environ, default_root

EXAMPLE = "lightning-native doctor --local"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_cloud_option(parser, about="look at the local cloud")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Show every finding; return 0 only if nothing is wrong."""
    # Missing credentials are one of the findings.
    with cloud_environ(default_root() if args.local else None):
        findings = diagnose()
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for line, finding in zip(format_table([_row(found) for found in findings]).splitlines(), findings, strict=True):
            print(line)
            if not finding.ok:
                print(f"       {finding.remedy}")
    return 0 if all(finding.ok for finding in findings) else 1


def _row(finding: Finding) -> list[str]:
    return ["ok" if finding.ok else "wrong", finding.check, finding.found.splitlines()[0]]
