"""Published scripts of others, as programs of our own: the same calls, in the same order, with the same arguments.

The names of accounts are those of the local cloud, and the commands do something small instead of training; each script
names its original. The files that the scripts upload are created in the working folder first. Because the SDK no longer
has plug-ins and A10G, `Job.run`, `MMT.run` and L4 take their place.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lightning_native.emulator import LocalCloud

PROJECT = {
    "dist/tiny-1.0-py3-none-any.whl": "",
    "examples/quickstart/requirements.txt": "packaging\n",
    "examples/quickstart/mlp.py": "print('mlp ran')\n",
    "examples/quickstart/hf_llm.py": "print('hf_llm ran')\n",
    "train.py": "import os, sys; print('trained', *sys.argv[1:], os.environ.get('RUN_MODE', ''))\n",
}

QUICKSTART_JOBS = """
# Lightning-AI/lightning-thunder, .github/run-quickstart-as-lit-jobs.py at 1e22aacb1aef (and, with one job,
# .github/run-benchmark-as-lit-jobs.py)
import glob, os.path
from datetime import datetime
from lightning_sdk import Job, Machine, Status, Studio

run_id = datetime.now().strftime("%Y-%m-%d|%H:%M:%S")
s = Studio(f"thunder-quickstarts-run{run_id}", "local-teamspace", user="local-user", create_ok=True)
s.upload_folder("dist", remote_path="dist")
s.upload_folder("examples/quickstart", remote_path="quickstart")
s.start()
s.run("ls dist/*.whl && pip install -U -r quickstart/requirements.txt")
jobs = {
    os.path.basename(script): Job.run(
        name=f"ci-run{run_id}_{script}",
        command=f"pip list && python quickstart/{os.path.basename(script)}",
        studio=s,
        machine=Machine.L40S,
        interruptible=True,
    )
    for script in glob.glob("examples/quickstart/*.py")
}
s.stop()
for name, job in jobs.items():
    job.wait()
    assert job.status == Status.Completed, job.logs
    assert name.removesuffix(".py") + " ran" in str(job.logs)
    print("done", name, str(job.status).lower(), job.name.endswith("-py"))
    job.delete()
s.delete()
"""

COVERAGE_STUDIO = """
# Lightning-AI/lightning-thunder, .github/run-jit-coverage-as-lit-studios.py at 1e22aacb1aef
import json
from lightning_sdk import Machine, Studio

s = Studio("thunder-jit-coverage-run1", "local-teamspace", user="local-user", create_ok=True)
s.upload_folder("examples/quickstart", remote_path="coverage")
s.start(machine=Machine.L40S, interruptible=False)
s.run("pip install -U -r coverage/requirements.txt")
for name in ("000.txt", "001.txt"):
    s.run(f"HF_TOKEN=x python coverage/mlp.py --models-file coverage/{name} --output-dir data > {name}")
s.run("echo '[' > data.json")
s.run("echo '1]' >> data.json")
print("done", json.loads(s.run("cat data.json")))
s.stop()
s.delete()
"""

SDK_STUDIOS = """
# Lightning-AI/sdk, python/examples/studios.py at f2f2c848f9c8
from lightning_sdk import Machine, Studio, Teamspace

teamspace = Teamspace("local-teamspace", org=None, user="local-user")
studio = Studio(name="sdk-tutorial-studio", teamspace=teamspace, create_ok=True)
studio.start(machine=Machine.from_str("CPU"))
print(f"{studio.name} is {studio.status} on {studio.machine}")
print(studio.run("python --version"))
studio.upload_file("train.py", remote_path="train.py")
print("done", studio.run("python train.py --epochs 1"))
output, exit_code = studio.run_with_exit_code("python train.py && exit 3")
assert exit_code == 3, output
output, exit_code = studio.run_and_detach("python train.py --epochs 10", timeout=3, check_interval=1)
print("detached", output.splitlines()[0], exit_code)
studio.stop()
"""

SDK_JOBS = """
# Lightning-AI/sdk, python/examples/jobs.py and teamspaces.py at f2f2c848f9c8; the studio is that of studios.py
import os
from lightning_sdk import Job, Machine, SecretType, Status, Studio, Teamspace

teamspace = Teamspace("local-teamspace", org=None, user="local-user")
studio = Studio("sdk-tutorial-studio", teamspace=teamspace, create_ok=True)
studio.upload_file("train.py", remote_path="train.py")
job = Job.run(
    name="sdk-tutorial-job",
    teamspace=teamspace,
    studio=studio,
    machine=Machine.from_str("CPU"),
    env={"RUN_MODE": "tutorial"},
    command="python train.py --epochs 1",
)
print(f"Job link: {job.link}")
job.wait(interval=1, timeout=60 * 60, stop_on_timeout=True)
print(job.json())
assert job.status == Status.Completed, job.logs
print("done", job.logs)
job = Job.run(
    name="sdk-image-job",
    teamspace=teamspace,
    image="python:3.11-slim",
    machine=Machine.from_str("CPU"),
    command="python -c 'print(\\"hello from a Lightning job\\")'",
    env={"RUN_MODE": "tutorial"},
    interruptible=True,
)
job.wait(interval=1)
print(f"{job.name} finished with status {job.status}")
print(f"Teamspace: {teamspace.owner.name}/{teamspace.name}", teamspace.id, teamspace.default_cloud_account)
print(", ".join(teamspace.cloud_accounts))
for each in (*teamspace.studios, *teamspace.jobs, *teamspace.multi_machine_jobs):
    print(each.name, each.status)
teamspace.set_secret(key="HF_TOKEN_FOR_TUTORIAL", value="x", secret_type=SecretType.HF_TOKEN)
"""

SDK_MULTI_MACHINE = """
# Lightning-AI/sdk, python/examples/mmts.py at f2f2c848f9c8
from lightning_sdk import MMT, Machine, Status, Studio, Teamspace

teamspace = Teamspace("local-teamspace", org=None, user="local-user")
studio = Studio("sdk-tutorial-mmt-studio", teamspace=teamspace, create_ok=True)
studio.upload_file("train.py", remote_path="train.py")
mmt = MMT.run(
    name="sdk-tutorial-mmt",
    teamspace=teamspace,
    studio=studio,
    num_machines=2,
    machine=Machine.from_str("CPU"),
    env={"RUN_MODE": "distributed"},
    command="python train.py --epochs 1",
)
print(f"MMT link: {mmt.link}")
mmt.wait(interval=1, timeout=2 * 60 * 60, stop_on_timeout=True)
print(mmt.json())
assert mmt.status == Status.Completed
print("done", *(f"{worker.status} {worker.logs}".strip() for worker in mmt.machines))
mmt = MMT.run(
    name="sdk-image-mmt",
    teamspace=teamspace,
    image="pytorch/pytorch:2.4.1-cuda12.1-cudnn9-runtime",
    num_machines=2,
    machine=Machine.from_str("L4"),
    command="echo no torch here",
    interruptible=True,
)
mmt.wait(interval=1)
print(f"{mmt.name} used {mmt.num_machines} machines")
"""

OLD_STUDIO = """
# Lightning-AI/sdk, examples/studio.py at 7975986a2d02, and the examples/sdk.py that every new studio had. Without a
# GPU, nvidia-smi is not there
from lightning_sdk import Machine, Studio

s = Studio(name="my-sdk-studio", teamspace="local-teamspace", user="local-user", create_ok=True)
s.start()
print(s.machine)
s.switch_machine(Machine.L4)
print("switched to", s.machine, s.status)
print(s.run("nvidia-smi || true"))
s.stop()
duplicate = s.duplicate()
s.delete()
duplicate.stop()
duplicate.delete()
print("done")
"""

SWEEP = """
# Sweeps, as several published them: by index (ezhang24/caltech-101-classification, examples), by a name with blanks
# (lightning-pose), by a name with a time and a command on several lines (spp_weis_price_forecast), interruptible
from datetime import datetime, timezone
from lightning_sdk import Job, Machine, Status, Studio

studio = Studio(name="sweep", teamspace="local-teamspace", user="local-user", create_ok=True)
studio.start()
jobs = [
    Job.run(f"run-2-exp-{index}", machine=Machine.L4, command=f"echo --lr {lr} --batch_size {size}", studio=studio)
    for index, (lr, size) in enumerate([(1e-4, 32), (1e-3, 64)])
]
for name, command, options in (
    ("single_0 train and ood predict", "cd ~\\necho one\\necho two", {"machine": Machine.L4}),
    (f"lmp_daily_{datetime.now(timezone.utc)}", "\\ncd ~\\necho daily\\n", {"machine": Machine.CPU}),
    ("agent-job", "export KEY='x' && echo agent", {"machine": Machine.CPU, "interruptible": True}),
):
    jobs.append(Job.run(name, command=command, studio=studio, **options))
for job in jobs:
    job.wait()
    assert job.status == Status.Completed
    print("done", str(job.logs).split())
studio.stop()
studio.delete()
"""

UPLOAD_AND_FETCH = """
# From three scripts: a folder sent, a command at absolute paths, a result fetched; a studio found again, a folder
# fetched, paths with ~; a background script polled by its marker
import time
from pathlib import Path
from lightning_sdk import Machine, Studio

studio = Studio(name="becomingone-experiment")
studio.start(machine=Machine.L4)
studio.upload_folder("examples/quickstart", "becomingone")
studio.run("cd /teamspace/studios/this_studio/becomingone && python mlp.py > experiment_results.csv")
studio.download_file("becomingone/experiment_results.csv", "results.csv")
print("fetched", Path("results.csv").read_text().strip())
same = Studio(name="becomingone-experiment", teamspace="local-teamspace", create_ok=False)
print(f"studio {same.name}: {same.status} on {same.machine}")
same.run("rm -rf ~/hyperids && mkdir -p ~/hyperids/model/checkpoints_gpu")
same.upload_folder("examples/quickstart", "hyperids/hyperids")
print(same.run("cd ~/hyperids && python -u hyperids/mlp.py && cp hyperids/mlp.py model/checkpoints_gpu/")[-5000:])
same.download_folder("hyperids/model/checkpoints_gpu", "fetched_folder")
print("folder", [path.name for path in Path("fetched_folder").iterdir()])
same.upload_file("train.py", remote_path="plant/scripts/train.py", progress_bar=False)
same.run(
    "chmod +x plant/scripts/train.py\\n"
    "rm -f plant/done\\n"
    "nohup bash -c 'sleep 1; touch plant/done' > /tmp/train_nb.log 2>&1 &\\n"
    "sleep 0.2\\nhead -15 /tmp/train_nb.log 2>/dev/null || true"
)
while same.run("test -f plant/done && echo DONE || echo RUNNING").strip() != "DONE":
    time.sleep(0.5)
same.stop()
same.delete()
print("done")
"""

DISPATCH = """
# From three scripts: a job sent off by CI that goes on alone; the account found by the client of the API (T9ner's
# autoresearch-waste), and a job polled and found again; a status compared with texts, a small machine
import time
from lightning_sdk import Job, Machine, Status, Studio
from lightning_sdk.lightning_cloud.rest_client import LightningClient

client = LightningClient()
user = client.auth_service_get_user().username
memberships = client.projects_service_list_memberships().memberships
teamspace = next((m.name for m in memberships if m.is_default), memberships[0].name)
studio = Studio(name="dispatch", teamspace=teamspace, user=user, create_ok=True)
studio.start()
command = "set -e; if [ -d repo/.git ]; then cd repo; else mkdir -p repo && cd repo; fi; SPLITS='valid test' pwd"
job = Job.run(name="gsr-eval-manual", command=command, studio=studio, machine=getattr(Machine, "L4"))
print(job.link)
studio.stop()
while job.status not in (Status.Completed, Status.Failed, Status.Stopped):
    time.sleep(0.2)
print("done", job.status.value)
again = Job(name="gsr-eval-manual", teamspace=studio.teamspace)
print("logs", again.logs.splitlines()[-30:])
small = Job.run(command="true", name="pro_fessor", machine=Machine.CPU_SMALL, studio=studio, interruptible=True)
while str(small.status).lower() not in ("completed", "failed", "stopped"):
    time.sleep(0.2)
print(small.link)
studio.delete()
"""

PIPELINES = """
# Lightning-AI/sdk, examples/pipeline.py at 025e54e2cc25 (a step was called Job then) and the pipelines of the
# documentation
from lightning_sdk.machine import Machine
from lightning_sdk.pipeline import JobStep, MMTStep, Pipeline

pipeline = Pipeline(name="first_pipeline")
hello = dict(image="ubuntu:latest", machine=Machine.CPU, command="echo 'Hello, World!'")
steps = [JobStep(name="job-1", **hello), JobStep(name="job-2", wait_for=None, **hello), JobStep(name="job-3", **hello)]
pipeline.run(steps=steps)
pipeline.delete()
pipeline = Pipeline(name="second-pipeline")
pipeline.run(steps=[MMTStep(name="job-1", **hello), MMTStep(name="job-2", wait_for=None, **hello)])
pipeline.delete()
print("done", pipeline.name)
"""

MULTI_MACHINE = """
# From two scripts: several machines from the current studio, found again by name (a launcher of Monarch, batches)
import os
from lightning_sdk import MMT, Machine, Status, Studio, Teamspace

home = Studio("current")
home.start()
os.environ["LIGHTNING_CLOUD_SPACE_ID"] = home._studio.id
studio = Studio()
try:
    job = MMT(name="monarch")
    raise AssertionError("there is none yet")
except Exception as error:
    print("none yet:", type(error).__name__)
job = MMT.run(
    command="python -c 'import os; print(os.environ[\\"NODE_RANK\\"])'",
    name="monarch",
    machine=Machine.CPU_X_4,
    studio=studio,
    num_machines=2,
    env={"MONARCH_FILE_LOG": "debug", "NCCL_SOCKET_IFNAME": "^lo,docker"},
)
print(f"Job started with ID: {job.name}", job.status)
job.wait()
teamspace = Teamspace("local-teamspace", user="local-user")
print("done", *(f"{each.name}: {each.status}" for each in teamspace.multi_machine_jobs if each.name == "monarch"))
print(MMT("monarch", teamspace="local-teamspace", user="local-user").status)
home.delete()
"""

SCRIPTS = {
    "thunder-quickstart": (QUICKSTART_JOBS, ("done mlp.py completed True", "done hf_llm.py completed True")),
    "thunder-coverage": (COVERAGE_STUDIO, ("done [1]",)),
    "sdk-studios": (SDK_STUDIOS, ("done trained --epochs 1", "detached trained --epochs 10")),
    "sdk-jobs": (SDK_JOBS, ("done trained --epochs 1 tutorial", "sdk-image-job finished with status Completed")),
    "sdk-mmts": (SDK_MULTI_MACHINE, ("done Completed trained --epochs 1 distributed", "sdk-image-mmt used 2 machines")),
    "studio-examples": (OLD_STUDIO, ("switched to L4 Running", "done")),
    "sweep": (SWEEP, ("done ['--lr', '0.001', '--batch_size', '64']", "done ['one', 'two']", "done ['daily']")),
    "upload-and-fetch": (UPLOAD_AND_FETCH, ("fetched mlp ran", "folder ['mlp.py']", "done")),
    "dispatch": (DISPATCH, ("done Completed", "logs ['/teamspace/studios/this_studio/repo']")),
    "pipelines": (PIPELINES, ("done second-pipeline",)),
    "multi-machine": (MULTI_MACHINE, ("none yet: ", "done monarch: Completed")),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_published_script_runs(lightning_cloud: LocalCloud, tmp_path: Path, name: str) -> None:
    script, expected = SCRIPTS[name]
    for path, text in PROJECT.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    plain = {key: value for key, value in os.environ.items() if not key.startswith("LIGHTNING_")}
    environ = {**plain, **lightning_cloud.environ, "HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    missing = [text for text in expected if not any(line.startswith(text) for line in result.stdout.splitlines())]
    assert missing == [], result.stdout + result.stderr
