"""`lightning-native job`: jobs as Oracle ADS describes them, on Lightning."""

import argparse
import configparser
import json
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import yaml

from lightning_native import select_files
from lightning_native.cli.options.cloud import add_cloud_option, chosen_cloud
from lightning_native.cli.options.dollars import dollars
from lightning_native.cli.options.quiet import add_quiet_option
from lightning_native.cli.text.messages import show_warning
from lightning_native.cli.text.table import format_table
from lightning_native.engine.display.job_display import JobDisplay
from lightning_native.engine.process.client_signals import ending_signals_interrupt
from lightning_native.engine.retry import retry
from lightning_native.errors import CloudError, JobError
from lightning_native.jobs import Job, Lightning, lightning, load_job, oci
from lightning_native.jobs.budget import JobBudget
from lightning_native.jobs.code import PackedCode, check_source, local_path
from lightning_native.jobs.lightning import LightningJobSpec, Substitutes
from lightning_native.jobs.stopping import stop_for_good
from lightning_native.jobs.submission import JobResult, find_job, follow, new_name, submit
from lightning_native.jobs.uploads import discard_used
from lightning_native.lightning.jobs import LightningJob
from lightning_native.lightning.session import cloud_name, connect
from lightning_native.lightning.teamspace import LightningCloud
from lightning_native.terminal import show_output
from lightning_native.units import human_bytes, human_dollars

_LONGEST_SHOWN = 300

EXAMPLE = "lightning-native job run job.yaml --local"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    run_ = commands.add_parser("run", help="run a job, show what it prints, and wait for its end")
    add_quiet_option(run_)
    run_.add_argument("--detach", action="store_true", help="do not wait: print the job's name")
    plan = commands.add_parser("plan", help="show what a job would be on Lightning; nothing is created")
    convert = commands.add_parser("convert", help="write a job as the other place has it")
    convert.add_argument("--to", choices=("lightning", "oci"), required=True, help="YAML for here, or OCI's payload")
    convert.add_argument("--region", default="us-ashburn-1", help="of published conda environments (oci)")
    extract = commands.add_parser("extract", help="write the YAML of a job on Lightning")
    watch = commands.add_parser("watch", help="show what a job on Lightning prints until it ends")
    listing = commands.add_parser("list", help="list the jobs on Lightning")
    for command in (run_, plan, convert):
        command.add_argument("file", type=Path, metavar="FILE", help="the job, such as job.yaml")
        command.add_argument("--machine", metavar="NAME", help="instead of the file's machine or shape")
        command.add_argument("--studio", metavar="NAME", help="start from this studio's files and environment")
        command.add_argument(
            "--conda", action="append", default=[], metavar="SLUG=STUDIO", help="the studio for a conda environment"
        )
        command.add_argument(
            "--secret", action="append", default=[], metavar="OCID=NAME", help="the teamspace's secret for a vault's"
        )
    for command in (run_, plan):
        command.add_argument("--budget", type=dollars, metavar="DOLLARS", help="the most that the job may cost")
    for command in (extract, watch):
        command.add_argument("name", metavar="NAME", help="a job's name, or the beginning of one before a -")
    add_cloud_option(run_, extract, watch, listing)
    for command in (run_, plan, watch, listing):
        command.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Carry out the action."""
    actions = {"run": _run, "plan": _plan, "convert": _convert, "extract": _extract, "watch": _watch, "list": _list}
    return actions[args.action](args)


def _read(path: Path) -> Job:
    try:
        return load_job(path)
    except JobError:
        raise
    except (yaml.YAMLError, ValueError, AttributeError, NotImplementedError, TypeError) as error:
        raise JobError(f"{path}: {' '.join(str(error).split())}") from error


def _translated(
    args: argparse.Namespace, job: Job, name: str | None = None, seconds: float | None = None
) -> LightningJobSpec:
    substitutes = Substitutes(
        budget=getattr(args, "budget", None),
        seconds=seconds,
        machine=args.machine,
        studio=args.studio,
        conda=_pairs("--conda", args.conda),
        secrets=_pairs("--secret", args.secret),
    )
    try:
        spec = lightning.translate(job, name=name, substitutes=substitutes)
        return replace(spec, source=_found(spec.source, args.file)) if spec.source else spec
    except JobError as error:
        raise JobError(f"{args.file}: {error}") from error


def _found(source: str, file: Path) -> str:
    """Return the path of the code: relative to the working folder, as in ADS, or else to the job's file."""
    if "://" in source or local_path(source).exists():
        return source
    beside = file.parent / source
    return str(beside) if local_path(str(beside)).exists() else source


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.rpartition("=")
        if not equals or not key or not value:
            raise JobError(f"{option} {text}: write two names with = between them")
        pairs[key] = value
    return pairs


def _plan(args: argparse.Namespace) -> int:
    job = _read(args.file)
    spec = _translated(args, job)
    if spec.source is not None:
        check_source(spec.source)
    report = _described(job, spec)
    code = local_path(spec.source) if spec.source is not None and "://" not in spec.source else None
    if code is not None and code.is_dir():
        selection = select_files(code)
        report |= {"files": len(selection.files), "left_out": len(selection.excluded)}
    elif code is not None and not code.exists():
        report["warnings"].append(f"{spec.source} is not there: the job cannot be run from here")
    if args.json:
        print(json.dumps(report, indent=1))
        return 0
    warnings = report.pop("warnings")
    rows = [[name, _shown(value)] for name, value in report.items() if value not in (None, [], False)]
    print(format_table(rows))
    for warning in warnings:
        show_warning(warning)
    return 0


def _described(job: Job, spec: LightningJobSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "runtime": job.runtime.kind if job.runtime else None,
        "machine": spec.machine,
        "machines": spec.num_machines,
        "interruptible": spec.interruptible,
        "from": f"image {spec.image}" if spec.image else f"studio {spec.studio or 'of our own'}",
        "entrypoint": spec.entrypoint,
        "command": spec.command,
        "code": spec.source,
        # Names only: the values may be secret.
        "env": sorted(spec.env),
        "tags": list(spec.tags),
        "time_limit": spec.time_limit,
        "budget": spec.budget,
        "warnings": list(spec.warnings),
    }


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    # Shortened, because the driver may be part of the command.
    text = str(value).replace("\n", "; ")
    return text if len(text) < _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _run(args: argparse.Namespace) -> int:
    job = _read(args.file)
    spec = _translated(args, job, new_name(_translated(args, job).name))
    for warning in spec.warnings:
        show_warning(warning)
    with chosen_cloud(local=args.local), ending_signals_interrupt():
        cloud = retry(connect)
        budget = JobBudget(spec, spec.budget, cloud) if spec.budget else None
        if budget is not None:
            spec = _translated(args, job, spec.name, budget.seconds)
        live = submit(spec, cloud, cloud_name(), packed=_tell_code, warn=show_warning)
        print(f"job {live.name} on {spec.num_machines} x {spec.machine}", file=sys.stderr)
        if args.detach:
            print(json.dumps({"name": live.name}) if args.json else live.name)
            return 0
        machine = spec.machine if spec.num_machines == 1 else f"{spec.num_machines} x {spec.machine}"
        display = JobDisplay(live.name, machine, _hourly_cost(cloud, spec), quiet=args.quiet)
        try:
            result = follow(
                live,
                display.output,
                time_limit=_own_limit(spec),
                budget=budget,
                seen=display.seen,
                pause=display.pause,
                is_to_stop=lambda: display.view.is_to_stop("job", partial(_detach, live.name)),
            )
        except BaseException:
            stop_for_good(live, partial(display.view.show, ""))
            raise
        finally:
            display.view.close()
            discard_used(cloud, cloud_name())
        return _ended(args, live, result, spec.time_limit)


def _hourly_cost(cloud: LightningCloud, spec: LightningJobSpec) -> float | None:
    """Return the dollars that all machines of a job cost in an hour of this computer's clock."""
    try:
        hourly = cloud.hourly_cost(spec.machine, interruptible=spec.interruptible)
    except CloudError:
        return None
    return hourly * spec.num_machines * cloud.clock_rate if hourly else None


def _detach(name: str) -> NoReturn:
    sys.stderr.write(f"the job goes on; watch it with: lightning-native job watch {name}\n")
    sys.stderr.flush()
    # An exit in order would stop the job.
    os._exit(0)


def _own_limit(spec: LightningJobSpec) -> float | None:
    """Return the limit that this process must keep, because nothing of ours runs in an image."""
    return spec.time_limit if spec.image is not None and spec.folder == "" else None


def _tell_code(code: PackedCode) -> None:
    left_out = f", {code.excluded} left out by ignore rules" if code.excluded else ""
    print(f"code: {code.files} files ({human_bytes(code.bytes)}){left_out}", file=sys.stderr)


def _ended(args: argparse.Namespace, live: LightningJob, result: JobResult, limit: float | None = None) -> int:
    if args.json:
        print(
            json.dumps(
                {
                    "name": live.name,
                    "state": result.state,
                    "exit_code": result.exit_code,
                    "message": result.reason(limit),
                    "cost": live.cost(),
                }
            )
        )
    else:
        print(_end_of(live, result, limit))
    return 0 if result.state == "completed" else 1


def _end_of(live: LightningJob, result: JobResult, limit: float | None = None) -> str:
    code = "" if result.exit_code in (None, 0) else f" with exit code {result.exit_code}"
    reason = result.reason(limit)
    return f"{live.name} {result.state}{code}" + (f": {reason}" if reason else "")


def _convert(args: argparse.Namespace) -> int:
    job = _read(args.file)
    if args.to == "oci":
        try:
            payload = oci.translate_job(job, region=args.region)
        except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, configparser.Error) as error:
            raise JobError(f"{args.file}: {error}") from error
        print(json.dumps(payload, indent=1, default=str))
        return 0
    spec = _translated(args, job)
    for warning in spec.warnings:
        show_warning(warning)
    place = {
        "machine": spec.machine,
        "studio": spec.studio,
        "image": None if job.runtime is not None and job.runtime.kind == "container" else spec.image,
        "interruptible": spec.interruptible or None,
    }
    infrastructure = Lightning.from_spec({key: value for key, value in place.items() if value is not None})
    print(job.model_copy(update={"infrastructure": infrastructure}).to_yaml(), end="")
    return 0


def _extract(args: argparse.Namespace) -> int:
    with chosen_cloud(local=args.local):
        print(lightning.extract_job(find_job(connect(), args.name)).to_yaml(), end="")
    return 0


def _watch(args: argparse.Namespace) -> int:
    with chosen_cloud(local=args.local):
        cloud = connect()
        live = find_job(cloud, args.name)
        result = follow(live, lambda line: show_output(sys.stderr if args.json else sys.stdout, f"{line}\n"))
        discard_used(cloud, cloud_name())
        if args.json:
            return _ended(args, live, result)
        print(_end_of(live, result), file=sys.stderr)
        return 0 if result.state == "completed" else 1


def _list(args: argparse.Namespace) -> int:
    with chosen_cloud(local=args.local):
        cloud = connect()
        jobs = [(job.details(), job.state(), job.cost()) for job in cloud.jobs()]
        discard_used(cloud, cloud_name())
    if args.json:
        rows = [
            {"name": job.name, "state": state, "machine": job.machine, "machines": job.num_machines, "cost": cost}
            for job, state, cost in jobs
        ]
        print(json.dumps(rows, indent=1))
        return 0
    shown = [[job.name, state, f"{job.num_machines} x {job.machine}", human_dollars(cost)] for job, state, cost in jobs]
    print(format_table([["job", "state", "machines", "cost"], *shown], right=(3,)))
    return 0
