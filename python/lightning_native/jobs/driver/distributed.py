"""One machine of several: the launcher of its code, with options about the other machines."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile

from .accounts import expanded, without_accounts
from .code import base_name, words
from .errors import DriverError, say
from .execution import PIP, call

# The port at which the machines meet.
RENDEZVOUS_PORT = 29400
# Options of torchrun that have no value.
TORCHRUN_FLAGS = ("--standalone", "--no-python", "--no_python", "--run-path", "--run_path", "-m", "--module")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def install(dependencies: Mapping[str, Any]) -> None:
    pip = [*PIP, "install"]
    file, packages = dependencies.get("pipRequirements"), dependencies.get("pipPackages")
    if file and call([*pip, "-r", file]):
        raise DriverError(f"the requirements in {file} cannot be installed")
    if not packages:
        return
    with without_accounts(words(packages)) as (arguments, accounts):
        if call([*pip, *map(expanded, arguments)], {**os.environ, **accounts}):
            raise DriverError(f"the packages {packages} cannot be installed")


def gpu_count() -> int:
    if shutil.which("nvidia-smi") is None:
        return 0
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], stdout=subprocess.PIPE, check=False).stdout
    return len(listed.splitlines())


def launch(spec: Mapping[str, Any]) -> int:
    """Run the command on this machine, as one of several."""
    nodes = int(os.environ.get("NUM_NODES") or 1)
    rank = int(os.environ.get("NODE_RANK") or 0)
    command = spec.get("command")
    if isinstance(command, (list, tuple)):
        command = " ".join(shlex.quote(str(word)) for word in command)
    if not command:
        entrypoint = spec.get("entrypoint") or base_name(spec["scriptPathURI"])
        command = "torchrun " + " ".join(map(shlex.quote, [entrypoint, *words(spec.get("args"))]))
    launcher, rest = split_launcher(command)
    per_node = gpu_count() or 1
    address = os.environ.get("MASTER_ADDR") or "127.0.0.1"
    if launcher == "torchrun" and shutil.which("torchrun") is None:
        say("torchrun is not installed: the ranks are plain Python processes")
        return run_ranks(shlex.split(rest), nodes, rank, per_node)
    deepspeed = bool(spec.get("deepspeed"))
    options = launch_options(launcher, command, nodes, rank, per_node, address, deepspeed=deepspeed)
    line = " ".join([launcher, *map(shlex.quote, options), rest]).strip()
    say("running: " + line)
    return call(["bash", "-c", line])


def split_launcher(command: str) -> tuple[str, str]:
    """Return a launcher whose options we know, and the rest of the command; an empty launcher if it is another one."""
    for launcher in ("torchrun", "deepspeed", "accelerate launch"):
        if command == launcher or command.startswith(launcher + " "):
            return launcher, command[len(launcher) :].strip()
    return "", command


def launch_options(
    launcher: str, command: str, nodes: int, rank: int, per_node: int, address: str, *, deepspeed: bool = False
) -> list[str]:
    """Return a launcher's options about the machines, without those that the command has itself."""
    if launcher == "torchrun":
        options: dict[str, object] = {"nproc_per_node": per_node}
        if nodes > 1:
            options.update(nnodes=nodes, node_rank=rank)
        if has_option(command, "rdzv_backend"):
            return missing(command, options)
        if nodes == 1:
            return [*([] if has_option(command, "standalone") else ["--standalone"]), *missing(command, options)]
        rendezvous = {"rdzv_backend": "c10d", "rdzv_endpoint": f"{address}:{RENDEZVOUS_PORT}"}
        return missing(command, {**options, **rendezvous})
    if launcher == "accelerate launch":
        options = {
            "num_processes": per_node * nodes,
            "num_machines": nodes,
            "machine_rank": rank,
            "main_process_ip": address,
            "main_process_port": RENDEZVOUS_PORT,
        }
        if nodes > 1 and (deepspeed or has_option(command, "use_deepspeed")):
            # The default launcher needs SSH between the machines, which they lack.
            options["deepspeed_multinode_launcher"] = "standard"
        return missing(command, options)
    if launcher == "deepspeed" and nodes > 1:
        # There is no SSH between the machines, so each gets its rank.
        return [
            "--no_ssh",
            *missing(
                command,
                {
                    "hostfile": host_file(nodes, per_node),
                    "node_rank": rank,
                    "master_addr": address,
                    "master_port": RENDEZVOUS_PORT,
                },
            ),
        ]
    return []


def missing(command: str, options: Mapping[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items() if not has_option(command, name)]


def has_option(command: str, name: str) -> bool:
    spellings = ("--" + name, "--" + name.replace("_", "-"))
    return any(word.split("=")[0] in spellings for word in command.split())


def host_file(nodes: int, per_node: int) -> str:
    descriptor, path = tempfile.mkstemp(prefix="lightning-native-hosts-")
    with os.fdopen(descriptor, "w") as stream:
        stream.writelines(f"worker-{node} slots={per_node}\n" for node in range(nodes))
    return path


def run_ranks(arguments: list[str], nodes: int, node: int, per_node: int) -> int:
    """Run a script as torchrun would, one process for each local rank; a failed one ends the others."""
    count, program = torchrun_program(arguments, per_node)
    processes = []
    for local in range(count):
        environment = {
            **os.environ,
            "RANK": str(node * count + local),
            "LOCAL_RANK": str(local),
            "WORLD_SIZE": str(nodes * count),
            "LOCAL_WORLD_SIZE": str(count),
            "GROUP_RANK": str(node),
            "MASTER_ADDR": os.environ.get("MASTER_ADDR") or "127.0.0.1",
            "MASTER_PORT": os.environ.get("MASTER_PORT") or str(RENDEZVOUS_PORT),
        }
        processes.append(subprocess.Popen(program, env=environment))
    failed = 0
    try:
        while processes and not failed:
            pid, status = os.wait()
            failed = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
            processes = [process for process in processes if process.pid != pid]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
    return failed


def torchrun_program(arguments: Sequence[str], per_node: int) -> tuple[int, list[str]]:
    """Return the number of processes and the command of each, from torchrun's arguments."""
    rest = list(arguments)
    module = False
    while rest and rest[0].startswith("-"):
        name, equals, value = rest.pop(0).partition("=")
        module = module or name in ("-m", "--module")
        if not equals and name not in TORCHRUN_FLAGS and rest:
            value = rest.pop(0)
        if name.replace("-", "_") == "__nproc_per_node" and value.isdigit():
            per_node = int(value)
    return per_node, [sys.executable, "-u", *(["-m"] if module else []), *rest]
