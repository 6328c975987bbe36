import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest


@pytest.fixture(scope="module")
def source(lightning_cloud: Any) -> Iterator[Any]:
    """One studio that the jobs of this module start from."""
    assert lightning_cloud.url
    import lightning_sdk

    studio = lightning_sdk.Studio(f"source-{uuid4().hex[:8]}")
    studio.start()
    yield studio
    studio.delete()


def run(sdk: Any, source: Any, command: str, *, wait: bool = True, **options: Any) -> Any:
    job = sdk.Job.run(
        name=f"job-{uuid4().hex[:8]}",
        machine=options.pop("machine", sdk.Machine.CPU),
        command=command,
        **({} if "image" in options else {"studio": source, "reuse_snapshot": False}),
        **options,
    )
    if wait:
        job.wait(interval=0.02, timeout=60)
    return job


def wait_until_running(sdk: Any, job: Any) -> None:
    deadline = time.monotonic() + 120
    while job.status == sdk.Status.Pending and time.monotonic() < deadline:
        time.sleep(0.01)
    assert job.status == sdk.Status.Running


def test_a_job_runs_on_the_studios_files_and_leaves_them_alone(sdk: Any, source: Any, tmp_path: Path) -> None:
    source.run("echo from the studio > input.txt; rm -f output.txt")
    job = run(sdk, source, "cat input.txt; mkdir -p deep; echo result > deep/output.txt; echo changed > input.txt")
    assert job.status == sdk.Status.Completed
    assert str(job.logs) == "from the studio"
    assert source.run("cat input.txt; ls").splitlines()[0] == "from the studio"
    assert sorted(entry.path for entry in job.list_artifacts(recursive=True)) == ["deep/output.txt", "input.txt"]
    job.download_artifacts(tmp_path)
    assert (tmp_path / "deep" / "output.txt").read_text() == "result\n"


def test_what_runs_on_a_machine_gives_way_to_what_its_user_runs(sdk: Any, source: Any) -> None:
    # 10 more than the niceness of the server, which has that of the test.
    niceness = str(min(os.nice(0) + 10, 19))
    # The kernel sometimes refuses the change of an autogroup to users other than root.
    if os.geteuid() == 0 and Path("/proc/self/autogroup").exists():
        # The server sets the autogroup's niceness once the command runs.
        until = "for i in $(seq 100); do grep -q 'nice 10' /proc/self/autogroup && break; sleep 0.1; done"
        look, wanted = f"{until}; nice; cut -d ' ' -f 3 /proc/self/autogroup", [niceness, "10"]
    else:
        look, wanted = "nice", [niceness]
    assert source.run(look).split() == wanted
    assert str(run(sdk, source, look).logs).split() == wanted


def test_a_job_sees_the_files_of_the_moment_it_was_submitted(sdk: Any, source: Any) -> None:
    source.run("echo before > moment.txt")
    job = run(sdk, source, "sleep 0.5; cat moment.txt", wait=False)
    source.run("echo after > moment.txt")
    job.wait(interval=0.02)
    assert str(job.logs) == "before"


def test_a_reused_snapshot_is_the_one_of_the_first_job(sdk: Any, source: Any) -> None:
    # A trap of the SDK: one snapshot for each process and studio, whatever is uploaded later.
    source.run("echo first > snapshot.txt")
    options = {"machine": "CPU", "command": "cat snapshot.txt", "studio": source}
    first = sdk.Job.run(name=f"first-{uuid4().hex[:6]}", **options)
    source.run("echo second > snapshot.txt")
    second = sdk.Job.run(name=f"second-{uuid4().hex[:6]}", **options)
    third = sdk.Job.run(name=f"third-{uuid4().hex[:6]}", reuse_snapshot=False, **options)
    for job in (first, second, third):
        job.wait(interval=0.02)
    assert [str(job.logs) for job in (first, second, third)] == ["first", "first", "second"]


def test_a_job_has_the_packages_that_were_installed_in_the_studio(sdk: Any, source: Any) -> None:
    source.run(
        "echo 'value = 7' > $(python -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))')/only_there.py"
    )
    job = run(sdk, source, "python -c 'import only_there; print(only_there.value)'")
    assert str(job.logs) == "7"


def test_a_job_has_the_packages_of_the_moment_it_was_submitted(sdk: Any, studio: Any) -> None:
    path = "$(python -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))')/changed.py"
    studio.run(f"echo 'value = 7' > {path}")
    studio.stop()
    job = run(sdk, studio, "python -c 'import changed; print(changed.value)'", wait=False)
    studio.start()
    studio.run(f"rm {path}; echo 'value = 8' > {path}")
    job.wait(interval=0.02, timeout=60)
    assert str(job.logs) == "7"


def test_the_first_failing_command_ends_a_job(sdk: Any, source: Any) -> None:
    job = run(sdk, source, "echo one\nfalse\necho two")
    assert job.status == sdk.Status.Failed
    assert str(job.logs) == "one"


def test_environment_machine_tags_and_cost(sdk: Any, source: Any) -> None:
    job = run(
        sdk,
        source,
        'echo "$VALUE"; sleep 0.2',
        env={"VALUE": "a b'c\""},
        machine=sdk.Machine.H200,
        tags=["Nightly  Run"],
    )
    assert str(job.logs) == "a b'c\""
    assert job.machine == sdk.Machine.H200
    assert job.tags == ("nightly run",)
    assert [found.name for found in source.teamspace.list_jobs(tags=["nightly run"])] == [job.name]
    seconds = (job.stopped_at - job.started_at).total_seconds()
    assert job.total_cost == pytest.approx(seconds / 3600 * 4.5, rel=0.05)
    cheap = run(sdk, source, "sleep 0.2", machine=sdk.Machine.T4_X_4, interruptible=True)
    assert 0 < cheap.total_cost < job.total_cost


def test_attempts_are_repeated_until_one_succeeds(sdk: Any, source: Any) -> None:
    counted = "n=$(($(cat n 2>/dev/null || echo 0) + 1)); echo $n > n; echo attempt $n; [ $n -ge 3 ]"
    job = run(sdk, source, counted, max_run_attempts=3)
    assert job.status == sdk.Status.Completed
    assert str(job.logs).splitlines() == ["attempt 1", "attempt 2", "attempt 3"]
    assert run(sdk, source, counted, max_run_attempts=2).status == sdk.Status.Failed


def test_a_taken_name_gets_a_number(sdk: Any, source: Any) -> None:
    first = run(sdk, source, "true")
    with pytest.warns(UserWarning, match="already taken"):
        second = sdk.Job.run(name=first.name, machine="CPU", command="true", studio=source)
    assert second.name == f"{first.name}-2"
    assert sdk.Job(first.name).id == first.id


@pytest.mark.filterwarnings("ignore:Job name .* was already taken:UserWarning")
def test_a_name_becomes_what_the_platform_makes_of_it(sdk: Any, source: Any) -> None:
    """The same names as in the log of Lightning-AI/lightning-thunder#2011."""
    mark = uuid4().hex[:6]
    asked = f"ci-2025-05-01|09:45:25_examples/quickstart/MLP.py {mark}"
    given = f"ci-2025-05-01-09-45-25-examples-quickstart-mlp-py-{mark}"
    jobs = [sdk.Job.run(name=asked, machine="CPU", command="echo $LIGHTNING_JOB_NAME", studio=source) for _ in range(2)]
    assert [job.name for job in jobs] == [given, f"{given}-2"]
    for job in jobs:
        job.wait(interval=0.02)
        assert (job.status, str(job.logs).strip()) == (sdk.Status.Completed, job.name)


def test_logs_are_followed_line_by_line_and_complete(sdk: Any, source: Any) -> None:
    job = run(sdk, source, "for i in 1 2 3; do echo line $i; sleep 0.2; done; printf 'no newline'", wait=False)
    wait_until_running(sdk, job)
    arrived = [(line, job.status) for line in job.logs(follow=True)]
    assert [line for line, _ in arrived] == ["line 1", "line 2", "line 3", "no newline"]
    assert arrived[0][1] == sdk.Status.Running
    assert job.status == sdk.Status.Completed


def test_long_logs_come_whole_in_pages_and_filtered(sdk: Any, source: Any) -> None:
    job = run(
        sdk, source, "seq 1 2500; echo WARNING: hot; head -c 300000 /dev/zero | tr '\\0' x; echo; echo 'Error: cold'"
    )
    lines = str(job.logs).splitlines()
    assert lines[:2500] == [str(number) for number in range(1, 2501)]
    assert lines[2501] == "x" * 300000
    assert job.logs(tail=1) == "Error: cold"
    assert job.logs(severity="warning") == "WARNING: hot"
    assert job.logs(query="error") == "Error: cold"
    with_times = job.logs(tail=1, timestamps=True)
    assert with_times.endswith("+00:00 Error: cold")


def test_a_job_without_output_has_empty_logs(sdk: Any, source: Any) -> None:
    assert str(run(sdk, source, "true").logs) == ""


def test_logs_can_be_downloaded_as_a_file(
    sdk: Any, source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = run(sdk, source, "echo '[INFO] kept'; echo b")
    monkeypatch.chdir(tmp_path)
    assert Path(job.download_logs()).read_text() == "[INFO] kept\nb\n"


def test_stopping_ends_the_processes_and_keeps_the_log(sdk: Any, source: Any) -> None:
    job = run(sdk, source, "echo begun; sleep 600", wait=False)
    wait_until_running(sdk, job)
    assert next(iter(job.logs(follow=True))) == "begun"
    job.stop()
    assert job.status == sdk.Status.Stopped
    assert str(job.logs) == "begun"


def test_a_deleted_job_is_gone_with_its_artifacts(sdk: Any, source: Any) -> None:
    job = run(sdk, source, "echo x > file")
    job.delete()
    with pytest.raises(ValueError, match="does not exist"):
        sdk.Job(job.name)
    assert source.teamspace.list_files(f"jobs/{job.name}") == []


def test_a_renamed_job_is_found_under_its_new_name(sdk: Any, source: Any) -> None:
    job = run(sdk, source, "true")
    name = f"renamed-{uuid4().hex[:6]}"
    job.rename(name)
    assert sdk.Job(name).id == job.id


def test_a_job_from_an_image_runs_here_and_says_so(sdk: Any, source: Any, lightning_cloud: Any) -> None:
    job = run(sdk, source, "echo $A; pwd", image="docker.io/library/python:3.12", env={"A": "1"})
    assert job.image == "docker.io/library/python:3.12"
    assert str(job.logs).startswith("1\n")
    # The warning comes once, for the first image that this cloud received.
    assert (lightning_cloud.root / "server.log").read_text().count("no container engine: jobs from an image (") == 1
    own = run(sdk, source, None, image="nginx")  # type: ignore[arg-type]
    assert own.status == sdk.Status.Failed
    assert "cannot run in the local cloud" in own.logs


def test_a_container_has_folders_of_the_drive_but_no_credentials(sdk: Any, source: Any, tmp_path: Any) -> None:
    source.teamspace.new_folder("outputs")
    mount = f"/tmp/{uuid4().hex}"  # noqa: S108  in a container
    command = f'test -z "$LIGHTNING_API_KEY" && test -n "$LIGHTNING_CLOUD_URL" && echo kept >{mount}/result'
    job = run(sdk, source, command, image="tool:1", path_mappings={mount: "outputs:runs/1"})
    assert job.status == sdk.Status.Completed, job.logs
    assert not Path(mount).is_symlink()
    source.teamspace.download_file("lightning_storage/outputs/runs/1/result", str(tmp_path / "result"))
    assert (tmp_path / "result").read_text() == "kept\n"
    for path, connection, words in (
        ("/data", "outputs", "right below /tmp"),
        (mount, "nothing", "no folder or connection"),
    ):
        with pytest.raises(Exception, match=words):
            run(sdk, source, "true", image="tool:1", path_mappings={path: connection})


def test_an_unknown_machine_is_refused_before_anything_is_created(sdk: Any, source: Any) -> None:
    before = len(source.teamspace.jobs)
    with pytest.raises(Exception, match="no machine warp-drive"):
        run(sdk, source, "true", machine="warp-drive")
    assert len(source.teamspace.jobs) == before


def test_several_machines_find_each_other_and_log_by_rank(sdk: Any, source: Any) -> None:
    talk = (
        "import os, socket\n"
        "address = (os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT']))\n"
        "rank, size = int(os.environ['NODE_RANK']), int(os.environ['WORLD_SIZE'])\n"
        "if rank == 0:\n"
        "    server = socket.create_server(address)\n"
        "    print('heard', sorted(int(server.accept()[0].recv(9)) for _ in range(size - 1)))\n"
        "else:\n"
        "    import time\n"
        "    for _ in range(500):\n"
        "        try:\n"
        "            socket.create_connection(address).send(str(rank).encode())\n"
        "            break\n"
        "        except ConnectionRefusedError:\n"
        "            time.sleep(0.02)\n"
        "    print('told', rank)\n"
    )
    source.run(f"cat > talk.py <<'END'\n{talk}END")
    job = run(sdk, source, "python talk.py", num_machines=3)
    assert job.status == sdk.Status.Completed
    assert job.is_multi_machine
    assert str(job.machines[0].logs) == "heard [1, 2]"
    assert str(job.machines[2].logs) == "told 2"
    assert sorted(str(job.logs()).splitlines()) == sorted(
        [f"[{job.name}-0] heard [1, 2]", f"[{job.name}-1] told 1", f"[{job.name}-2] told 2"]
    )
    assert sdk.Job(job.name).num_machines == 3
    assert job.name in [found.name for found in source.teamspace.jobs]
    assert f"{job.name}-0" not in [found.name for found in source.teamspace.jobs]


def test_one_failing_machine_fails_the_job_and_ends_the_others(sdk: Any, source: Any) -> None:
    job = run(sdk, source, "[ $NODE_RANK = 0 ] && exit 3; sleep 600", num_machines=2)
    assert job.status == sdk.Status.Failed
    assert {machine.status for machine in job.machines} == {sdk.Status.Failed, sdk.Status.Stopped}


def test_all_machines_are_started_again_while_there_are_attempts(sdk: Any, source: Any, tmp_path: Path) -> None:
    command = f"[ $NODE_RANK = 1 ] || [ -e {tmp_path}/tried ] || {{ touch {tmp_path}/tried; exit 1; }}; echo again"
    job = run(sdk, source, command, num_machines=2, max_run_attempts=2)
    assert job.status == sdk.Status.Completed
    assert job.current_run_attempt == 2
    assert [str(machine.logs) for machine in job.machines] == ["again", "again"]


def test_several_machines_are_stopped_and_deleted_together(sdk: Any, source: Any) -> None:
    job = run(sdk, source, "sleep 600", num_machines=2, wait=False)
    job.stop()
    job.wait(interval=0.02)
    assert job.status == sdk.Status.Stopped
    job.delete()
    with pytest.raises(ValueError, match="does not exist"):
        sdk.Job(job.name)
