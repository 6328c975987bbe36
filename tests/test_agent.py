"""`agent.py` runs each command exactly once, and reports its output and its end."""

import base64
import hashlib
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lightning_native import agent
from tests.support.search import files_with


class Studio:
    """A folder with the agent in it, in a studio's place."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.agent = home / ".lightning-native" / "agent.py"
        self.agent.parent.mkdir()
        shutil.copy(agent.__file__, self.agent)
        (self.agent.parent / "ops").mkdir()

    def call(self, *arguments: str) -> dict[str, Any]:
        result = subprocess.run(
            [sys.executable, str(self.agent), *arguments], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        answer: dict[str, Any] = json.loads(result.stdout)
        return answer

    def upload(self, operation: str, **spec: Any) -> str:
        content = json.dumps({"cwd": str(self.home), **spec}).encode()
        (self.agent.parent / "ops" / f"{operation}.json").write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def start(self, operation: str, **spec: Any) -> dict[str, Any]:
        return self.call("start", operation, "--spec-sha256", self.upload(operation, **spec), "--wait", "5")

    def finish(self, operation: str) -> tuple[bytes, dict[str, Any]]:
        output, offset = b"", 0
        while True:
            answer = self.call("poll", operation, "--offset", str(offset), "--wait", "10")
            output += base64.b64decode(answer["data"])
            offset = answer["offset"]
            if answer["state"] != "running" and not answer.get("more"):
                return output, answer


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def test_a_command_reports_output_exit_code_times_and_memory(studio: Studio) -> None:
    studio.start("run.a", argv=["sh", "-c", "echo out; echo err >&2; exit 3"])
    output, answer = studio.finish("run.a")
    assert sorted(output.splitlines()) == [b"err", b"out"]
    result = answer["result"]
    assert result["exit_code"] == 3
    assert result["started"] <= result["ended"]
    assert result["peak_memory"] > 0


def test_a_start_delivered_many_times_at_once_runs_the_command_once(studio: Studio) -> None:
    sha256 = studio.upload("run.a", argv=["sh", "-c", "echo x >>count; sleep 0.3"])
    threads = [threading.Thread(target=studio.call, args=("start", "run.a", "--spec-sha256", sha256)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    studio.finish("run.a")
    assert studio.call("start", "run.a", "--spec-sha256", sha256)["result"]["exit_code"] == 0
    assert (studio.home / "count").read_text() == "x\n"


def test_the_specification_with_its_secrets_is_gone_once_claimed(studio: Studio) -> None:
    studio.start("run.a", argv=["sh", "-c", 'test "$TOKEN" = s3cret'], env={"TOKEN": "s3cret"})
    assert studio.finish("run.a")[1]["result"]["exit_code"] == 0
    assert files_with("s3cret", studio.home) == []


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/proc/self/autogroup").exists(), reason="the system may refuse it now and then"
)
def test_a_command_has_the_priority_of_its_agent(studio: Studio) -> None:
    # The agent sets the session's priority once the command runs.
    script = "nice; for i in $(seq 100); do grep -q 'nice [1-9]' /proc/self/autogroup && break; sleep 0.1; done"
    sha256 = studio.upload("run.a", argv=["sh", "-c", f"{script}; cut -d ' ' -f 3 /proc/self/autogroup"])
    command = ["nice", "-n", "7", sys.executable, str(studio.agent), "start", "run.a", "--spec-sha256", sha256]
    subprocess.run(command, capture_output=True, check=True)
    assert [int(value) for value in studio.finish("run.a")[0].split()] == [os.nice(0) + 7] * 2


def test_stop_ends_the_whole_process_group(studio: Studio) -> None:
    studio.start("run.a", argv=["sh", "-c", "sleep 77 & echo $!; wait"])
    child = int(base64.b64decode(studio.call("poll", "run.a")["data"]))
    studio.call("stop", "run.a", "--grace", "5")
    result = studio.finish("run.a")[1]["result"]
    assert result["stopped"]
    assert not _is_running(child)


def test_one_call_stops_many_operations(studio: Studio) -> None:
    names = [f"run.{number}" for number in range(5)]
    for name in names:
        studio.start(name, argv=["sh", "-c", "echo up; sleep 77"])
    assert set(studio.call("stop", *names, "--grace", "5")["answers"]) == set(names)
    assert all(studio.finish(name)[1]["result"]["stopped"] for name in names)


def test_one_answer_tells_what_a_stopped_command_prints_and_its_end(studio: Studio) -> None:
    script = "trap 'echo bye; sleep 0.5; exit 3' TERM; echo up; while :; do sleep 0.05; done"
    offset = studio.start("run.a", argv=["sh", "-c", script])["offset"]
    studio.call("stop", "run.a")
    answer = studio.call("poll", "run.a", "--offset", str(offset), "--wait", "60")
    assert answer["state"] == "done"
    assert base64.b64decode(answer["data"]).endswith(b"bye\n")


def test_what_a_command_prints_that_does_not_stop_comes_before_its_end(studio: Studio) -> None:
    script = "trap 'echo later' TERM; echo up; while :; do sleep 0.05; done"
    offset = studio.start("run.a", argv=["sh", "-c", script])["offset"]
    studio.call("stop", "run.a", "--grace", "10")
    answer = studio.call("poll", "run.a", "--offset", str(offset), "--wait", "60")
    assert answer["state"] == "running"
    assert base64.b64decode(answer["data"]).endswith(b"later\n")


def test_a_command_that_ignores_sigterm_is_killed_after_the_grace(studio: Studio) -> None:
    studio.start("run.a", argv=["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"])
    studio.call("stop", "run.a", "--grace", "0.3")
    assert studio.finish("run.a")[1]["result"]["exit_code"] == -9


def test_an_operation_stopped_before_it_started_never_starts(studio: Studio) -> None:
    studio.call("stop", "run.a")
    answer = studio.start("run.a", argv=["touch", "ran"])
    assert answer["result"]["stopped"]
    assert not (studio.home / "ran").exists()


def test_a_stop_while_the_command_is_being_started_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spawn = agent.spawn

    def spawn_and_stop(argv: list[str], environment: dict[str, str]) -> tuple[int, int]:
        started = spawn(argv, environment)
        agent.stop(".", 5)
        return started

    monkeypatch.setattr(agent, "spawn", spawn_and_stop)
    monkeypatch.setattr(agent, "operation_folder", lambda _: str(tmp_path))
    spec = {"argv": ["sleep", "77"], "cwd": str(tmp_path)}
    with (tmp_path / "log").open("ab", buffering=0) as log:
        result = agent.run_command(str(tmp_path), str(tmp_path), spec, log, threading.Event())
    assert result["stopped"]


def test_a_time_limit_ends_the_command_and_says_so(studio: Studio) -> None:
    studio.start("run.a", argv=["sleep", "77"], timeout=0.2)
    result = studio.finish("run.a")[1]["result"]
    assert result["timed_out"]
    assert result["exit_code"] == -15


def test_huge_lines_progress_bars_and_binary_output_come_through(studio: Studio) -> None:
    script = "import sys; w = sys.stdout.buffer.write; w(b'x' * 1_000_000 + b'\\r50%\\r100%\\n' + bytes(range(256)))"
    studio.start("run.a", argv=[sys.executable, "-c", script])
    assert studio.finish("run.a")[0] == b"x" * 1_000_000 + b"\r50%\r100%\n" + bytes(range(256))


def test_a_process_left_behind_does_not_keep_the_operation_open(studio: Studio) -> None:
    studio.start("run.a", argv=["sh", "-c", "sleep 77 & echo $!"])
    output, answer = studio.finish("run.a")
    assert answer["result"]["exit_code"] == 0
    subprocess.run(["kill", output.decode().strip()], check=True)


def test_a_runner_that_died_is_reported_as_lost_and_not_run_again(studio: Studio) -> None:
    sha256 = studio.upload("run.a", argv=["sh", "-c", "echo x >>count; sleep 77"])
    studio.call("start", "run.a", "--spec-sha256", sha256, "--wait", "0.5")
    folder = studio.agent.parent / "ops" / "run.a"
    processes = json.loads((folder / "runner.json").read_text())
    subprocess.run(["kill", "-9", str(processes["runner"]), str(processes["child"])], check=True)
    deadline = time.monotonic() + 120
    while studio.call("poll", "run.a")["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert studio.call("start", "run.a", "--spec-sha256", sha256)["state"] == "lost"
    assert (studio.home / "count").read_text() == "x\n"


def test_a_runner_that_begins_while_it_is_looked_for_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lock").touch()
    flock = agent.fcntl.flock

    def flock_before_the_runner(lock: IO[str], how: int) -> None:
        flock(lock, how)
        (tmp_path / "runner.json").touch()

    monkeypatch.setattr(agent.fcntl, "flock", flock_before_the_runner)
    assert agent.state_of(str(tmp_path)) == "running"


def test_scratch_folders_are_private_to_the_operation_and_removed(studio: Studio) -> None:
    studio.start("run.a", argv=["sh", "-c", 'echo x >"$OWN/file"; echo "$OWN"'], scratch=["OWN"])
    folder = Path(studio.finish("run.a")[0].decode().strip())
    assert folder.is_relative_to(studio.agent.parent / "ops" / "run.a")
    assert not folder.exists()


def test_a_command_is_found_on_the_path_of_its_own_environment(studio: Studio) -> None:
    tool = studio.home / "bin" / "tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho found\n")
    tool.chmod(0o755)
    studio.start("run.a", argv=["tool"], env={"PATH": f"relative:{tool.parent}:/bin"})
    assert studio.finish("run.a")[0] == b"found\n"


def test_a_command_inherits_no_open_files(studio: Studio) -> None:
    with (studio.home / "open").open("w") as file:
        number = file.fileno()
        sha256 = studio.upload("run.a", argv=["sh", "-c", f"[ -e /dev/fd/{number} ] && echo {number}; echo looked"])
        argv = [sys.executable, str(studio.agent), "start", "run.a", "--spec-sha256", sha256]
        subprocess.run(argv, check=True, pass_fds=(number,), capture_output=True)
    assert studio.finish("run.a")[0] == b"looked\n"


def test_a_job_prints_the_output_and_the_result_of_each_attempt_and_ends_as_the_last_one(studio: Studio) -> None:
    script = "echo x >>tries; n=$(wc -l <tries); echo try $n; [ -d $SPACE ] && [ $n = 2 ] || exit 3"
    step = {"argv": ["sh", "-c", script], "cwd": str(studio.home), "scratch": ["SPACE"]}
    step["retry"] = {"count": 1, "delay": 0.01, "backoff": 1}
    sha256 = studio.upload("run", steps={"a": {**step, "word": "s3cret"}})
    argv = [sys.executable, str(studio.agent), "job", "run", "--spec-sha256", sha256, "--step", "a", "--job-name", "a"]
    job = subprocess.run(
        argv, check=False, capture_output=True, text=True, env={**os.environ, "LIGHTNING_JOB_NAME": "a"}
    )
    assert job.returncode == 0, job.stderr
    begun, *lines = [line for line in job.stdout.splitlines() if line]
    assert begun.startswith(agent.result_mark("s3cret", 0))
    assert [lines[0], lines[2]] == ["try 1", "try 2"]
    results = [
        json.loads(line.removeprefix(agent.result_mark("s3cret", attempt)))
        for attempt, line in enumerate((lines[1], lines[3]), start=1)
    ]
    assert [result["exit_code"] for result in results] == [3, 0]
    # The job's secrets and temporary files are deleted.
    assert list((studio.agent.parent / "ops").iterdir()) == []


class Jobs(http.server.BaseHTTPRequestHandler):
    """Lightning's answer to the question whether there is a job of a name."""

    def do_GET(self) -> None:
        name = parse_qs(urlsplit(self.path).query)["name"][0]
        key = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        assert key == "user:key"
        self.send_response({"there": 200, "gone": 404}.get(name, 500))
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.mark.parametrize(
    ("asked", "given", "runs"),
    [("there", "there", True), ("there", "There", True), ("gone", "gone-x1y", True), ("there", "there-2", False)],
)
def test_a_job_under_another_name_runs_unless_the_one_of_the_asked_name_does(
    studio: Studio, asked: str, given: str, runs: bool
) -> None:
    sha256 = studio.upload("run", argv=["echo", "ran"], word="s3cret")
    argv = [sys.executable, str(studio.agent), "job", "run", "--spec-sha256", sha256, "--job-name", asked]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Jobs) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        account = {
            "LIGHTNING_CLOUD_URL": f"http://127.0.0.1:{server.server_port}",
            "LIGHTNING_CLOUD_PROJECT_ID": "project",
            "LIGHTNING_USER_ID": "user",
            "LIGHTNING_API_KEY": "key",
            "LIGHTNING_JOB_NAME": given,
        }
        job = subprocess.run(argv, check=False, capture_output=True, text=True, env={**os.environ, **account})
        server.shutdown()
    if runs:
        assert (job.returncode, "ran" in job.stdout.splitlines()) == (0, True)
    else:
        assert (job.returncode, job.stdout) == (1, "this job is a duplicate of there, which runs the command\n")


def test_a_job_leaves_nothing_of_ours_below_its_home_and_no_specification_of_another_job(studio: Studio) -> None:
    studio.upload("other", argv=["echo", "other"], word="0ther")
    sha256 = studio.upload("run", argv=["sh", "-c", "pwd; grep -rl 0ther ~ || true"], word="s3cret", scratch=["SPACE"])
    before = {path.name for path in studio.agent.parent.rglob("*")}
    argv = [sys.executable, str(studio.agent), "job", "run", "--spec-sha256", sha256]
    job = subprocess.run(argv, check=True, capture_output=True, text=True, cwd=studio.home)
    assert "other.json" not in job.stdout
    after = {path.name for path in studio.agent.parent.rglob("*")}
    assert after - {"__pycache__"} == before - {"run.json", "other.json"}


def test_the_word_that_proves_a_result_is_nowhere_where_the_command_could_read_it(studio: Studio) -> None:
    files = "grep -rls s3cret . && echo file; tr '\\0' '\\n' </proc/$PPID/environ; tr '\\0' '\\n' </proc/$PPID/cmdline"
    sha256 = studio.upload("run", argv=["sh", "-c", f"env; {files}; echo looked"], word="s3cret")
    argv = [sys.executable, str(studio.agent), "job", "run", "--spec-sha256", sha256]
    job = subprocess.run(argv, check=True, capture_output=True, text=True)
    assert "looked" in job.stdout
    assert "s3cret" not in job.stdout
    assert "file" not in job.stdout.splitlines()
    assert agent.result_mark("s3cret", 1) in job.stdout


def test_a_command_that_is_not_there_ends_with_127_and_its_name(studio: Studio) -> None:
    studio.start("run.a", argv=["no-such-command"])
    output, answer = studio.finish("run.a")
    assert answer["result"]["exit_code"] == 127
    assert b"no-such-command" in output


def test_unpack_is_atomic_and_happens_once(studio: Studio) -> None:
    archive = studio.home / "code.tar.gz"
    with tarfile.open(archive, "w:gz") as members:
        for name in ("my step.py", "café.py"):
            members.addfile(tarfile.TarInfo(name), io.BytesIO())
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    studio.call("unpack", str(archive), sha256, str(studio.home / "code" / "x"))
    assert {path.name for path in (studio.home / "code" / "x").iterdir()} == {"my step.py", "café.py"}
    assert not archive.exists()
    studio.call("unpack", str(archive), sha256, str(studio.home / "code" / "x"))


def test_a_job_unpacks_all_that_it_needs_and_imports_from_there_first(studio: Studio) -> None:
    archives = []
    for name in ("code", "package"):
        with tarfile.open(studio.home / f"{name}.tar.gz", "w:gz") as members:
            content = f"print('module of {name}')".encode()
            member = tarfile.TarInfo(f"of_{name}.py")
            member.size = len(content)
            members.addfile(member, io.BytesIO(content))
        sha256 = hashlib.sha256((studio.home / f"{name}.tar.gz").read_bytes()).hexdigest()
        archives.append([str(studio.home / f"{name}.tar.gz"), sha256, str(studio.home / name / "x")])
    show = "import os, sys, of_package; print(os.listdir(), os.environ['PYTHONPATH'])"
    step = {"argv": [sys.executable, "-c", show], "cwd": str(studio.home / "code" / "x"), "word": "w"}
    step |= {"unpack": archives, "pythonpath": [archives[1][2]], "env": {"PYTHONPATH": "/of/the/user"}}
    sha256 = studio.upload("run", **step)
    argv = [sys.executable, str(studio.agent), "job", "run", "--spec-sha256", sha256]
    job = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert job.returncode == 0, job.stderr
    assert job.stdout.splitlines()[1:3] == [
        "module of package",
        f"['of_code.py'] {studio.home}/package/x:/of/the/user",
    ]


def test_what_a_container_unpacks_is_private_and_gone_with_the_job(studio: Studio) -> None:
    archive = studio.home / "package.tar.gz"
    with tarfile.open(archive, "w:gz") as members:
        members.addfile(tarfile.TarInfo("ours.py"), io.BytesIO())
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    show = "import ours, os; print(ours.__file__, oct(os.stat(os.environ['PYTHONPATH'].split(':')[0] + '/..').st_mode))"
    spec = {"argv": [sys.executable, "-c", show], "word": "w", "mounted": True, "pythonpath": ["package"]}
    sha256 = studio.upload("run", **spec, unpack=[[str(archive), sha256, "package"]])
    argv = [sys.executable, str(studio.agent), "job", "run", "--spec-sha256", sha256]
    job = subprocess.run(argv, check=False, capture_output=True, text=True, env={**os.environ, "HOME": "/nowhere"})
    assert job.returncode == 0, job.stderr
    file, mode = job.stdout.splitlines()[1].split()
    assert (Path(file).name, mode) == ("ours.py", "0o40700")
    assert not Path(file).parents[1].exists()


@pytest.mark.parametrize(
    ("wrong", "value"), [("unpack", [["a", "b"]]), ("unpack", ["abc"]), ("pythonpath", "/a"), ("pythonpath", [1])]
)
def test_a_wrong_archive_or_folder_is_refused(studio: Studio, wrong: str, value: object) -> None:
    sha256 = studio.upload("run", argv=["true"], word="w", **{wrong: value})
    argv = [sys.executable, str(studio.agent), "job", "run", "--spec-sha256", sha256]
    job = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert (job.returncode, job.stderr) == (1, f"the specification has a wrong {wrong}\n")


def test_code_that_was_not_used_for_long_is_deleted_but_for_the_last_few(studio: Studio) -> None:
    for age, name in enumerate(("now", "week", "month", "quarter", "year")):
        folder = studio.home / "code" / name
        folder.mkdir(parents=True)
        os.utime(folder, times=(0, time.time() - age * 30 * 86400))
    os.utime(studio.home / "code" / "quarter")
    # The folder "year" is used again, so the three last used ones are it, "now" and "quarter".
    studio.call("unpack", "nowhere", "0", str(studio.home / "code" / "year"))
    assert {path.name for path in (studio.home / "code").iterdir()} == {"now", "quarter", "year"}


def test_operations_started_together_answer_together(studio: Studio) -> None:
    def request(**operations: list[str]) -> dict[str, Any]:
        specifications = {name: {"argv": argv, "cwd": str(studio.home)} for name, argv in operations.items()}
        content = json.dumps(specifications).encode()
        (studio.agent.parent / "ops" / "batch.json").write_bytes(content)
        start = {
            "file": "batch",
            "sha256": hashlib.sha256(content).hexdigest(),
            "operations": dict.fromkeys(operations, 0),
        }
        return studio.call("exchange", json.dumps({"start": start}), "--wait", "5")["answers"]

    answers = request(one=["sh", "-c", "echo x >>count; echo one"], two=["sh", "-c", "echo x >>count; exit 2"])
    assert base64.b64decode(answers["one"]["data"]) == b"one\n"
    assert answers["two"]["result"]["exit_code"] == 2
    # The request repeats an operation and adds another one.
    answers = request(one=["sh", "-c", "echo x >>count"], three=["true"])
    assert (answers["one"]["state"], answers["three"]["result"]["exit_code"]) == ("done", 0)
    assert (studio.home / "count").read_text() == "x\nx\n"
    assert not list((studio.agent.parent / "ops").glob("*.json"))
    asked = json.dumps({"poll": {"one": 2, "none": 0}})
    answers = studio.call("exchange", asked)["answers"]
    assert base64.b64decode(answers["one"]["data"]) == b"e\n"
    assert answers["none"]["state"] == "unknown"


def test_a_run_that_leaves_ends_and_removes_only_what_is_its_own(studio: Studio) -> None:
    studio.start("one.a", argv=["sh", "-c", "echo $$; exec sleep 77"])
    child = int(base64.b64decode(studio.call("poll", "one.a")["data"]))
    for other in ("two.a", "one-more.a", "one1.a"):
        studio.start(other, argv=["true"])
    studio.upload("one.b", argv=["true"], env={"TOKEN": "s3cret"})
    assert studio.call("leave", "one") == {"others": [], "stop": False, "forgotten": 2}
    assert not _is_running(child)
    folders = {path.name for path in (studio.agent.parent / "ops").iterdir() if path.is_dir()}
    assert folders == {"two.a", "one-more.a", "one1.a"}
    assert files_with("s3cret", studio.home) == []


def test_what_a_run_owes_when_it_leaves_is_owed_by_those_who_are_still_there(studio: Studio) -> None:
    for run in ("one", "two", "three"):
        studio.start(f"{run}.a", argv=["sleep", "77"])
    assert studio.call("leave", "one", "--stay")["others"] == ["three", "two"]
    assert studio.call("leave", "one", "--owes") == {"others": ["three", "two"], "stop": False, "forgotten": 1}
    # This run arrives after the one that owed the stop, and leaves before the last run.
    studio.start("four.a", argv=["true"])
    assert not studio.call("leave", "four")["stop"]
    assert not studio.call("leave", "three")["stop"]
    assert studio.call("leave", "two") == {"others": [], "stop": True, "forgotten": 1}
    assert not studio.call("leave", "two")["stop"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"argv": []}, "has a wrong argv"),
        ({"argv": ["true", 1]}, "has a wrong argv"),
        ({"argv": ["true"], "env": {"A": 1}}, "has a wrong env"),
        ({"argv": ["true"], "timeout": "soon"}, "has a wrong timeout"),
        ({"argv": ["true"], "timeout": float("nan")}, "has a wrong timeout"),
    ],
)
def test_a_specification_that_cannot_be_run_claims_nothing(studio: Studio, spec: dict[str, Any], message: str) -> None:
    sha256 = studio.upload("run.a", **spec)
    argv = [sys.executable, str(studio.agent), "start", "run.a", "--spec-sha256", sha256]
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (1, f"the specification {message}\n")
    assert studio.call("poll", "run.a")["state"] == "unknown"


def test_a_command_that_no_system_can_be_given_ends_with_127(studio: Studio) -> None:
    for name, spec in enumerate(({"argv": ["a\x00b"]}, {"argv": ["true"], "env": {"A\x00": ""}}, {"argv": ["\ud800"]})):
        studio.start(f"run.{name}", **spec)
        output, answer = studio.finish(f"run.{name}")
        assert answer["result"]["exit_code"] == 127
        assert b"cannot start" in output


def test_what_is_a_link_among_the_operations_is_not_followed(studio: Studio) -> None:
    outside = studio.home / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    operations = studio.agent.parent / "ops"
    (operations / "run.a").symlink_to(outside)
    (operations / "run.b.json").symlink_to(outside / "mine")
    for arguments in (["poll", "run.a"], ["stop", "run.a"], ["start", "run.b", "--spec-sha256", "0"]):
        argv = [sys.executable, str(studio.agent), *arguments]
        result = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert result.returncode == 1
        assert "is a link, which is none of ours" in result.stderr
    assert studio.call("leave", "run")["forgotten"] == 2
    assert [path.name for path in outside.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["../evil", "", ".hidden", "a/b", "a\n", "x" * 300])
def test_an_operation_id_cannot_leave_its_folder(studio: Studio, name: str) -> None:
    result = subprocess.run(
        [sys.executable, str(studio.agent), "poll", name], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "not an operation id" in result.stderr


def _is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_a_guard_ends_a_runs_operations_when_its_budget_is_used_and_no_others(studio: Studio) -> None:
    for operation in ("run.a", "run.b", "other.a"):
        studio.start(operation, argv=["sleep", "100"])
    studio.call("budget", "run", "1000")
    # A later call replaces the earlier one.
    studio.call("budget", "run", "0.2")
    for operation in ("run.a", "run.b"):
        _, answer = studio.finish(operation)
        result = answer["result"]
        assert (result["over_budget"], result["stopped"], result["exit_code"]) == (True, False, -15)
    assert studio.call("poll", "other.a")["state"] == "running"
    assert studio.call("forget", "other.a")["forgotten"] >= 1


def test_a_guard_ends_when_its_run_has_left(studio: Studio) -> None:
    studio.call("budget", "run", "1000")
    lock = studio.agent.parent / "run.guard"
    until(lock.exists)
    studio.call("leave", "run")
    until(lambda: not lock.exists())


def until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_guard_stops_the_studio_through_lightning(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    class Lightning(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append((self.path, self.headers["Authorization"].split()[0]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lightning) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("LIGHTNING_CLOUD_URL", f"http://127.0.0.1:{server.server_port}")
        for name, value in (("CLOUD_PROJECT_ID", "p"), ("USER_ID", "u"), ("API_KEY", "k"), ("CLOUD_SPACE_ID", "s")):
            monkeypatch.setenv(f"LIGHTNING_{name}", value)
        studio.call("budget", "run", "0.1", "--stop-studio")
        until(lambda: bool(asked))
        server.shutdown()
    assert asked == [("/v1/projects/p/cloudspaces/s/stop", "Basic")]


def test_a_job_ends_at_its_budget_and_is_not_tried_again(studio: Studio) -> None:
    retry = {"count": 3, "delay": 0, "backoff": 1}
    sha256 = studio.upload("run.job", argv=["sleep", "100"], budget=0.3, word="w", retry=retry)
    argv = [sys.executable, str(studio.agent), "job", "run.job", "--spec-sha256", sha256]
    result = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    lines = [line for line in result.stdout.splitlines() if line.startswith(agent.result_mark("w", 1))]
    assert len(lines) == 1
    assert json.loads(lines[0].partition(": ")[2])["over_budget"] is True
    assert agent.result_mark("w", 2) not in result.stdout
