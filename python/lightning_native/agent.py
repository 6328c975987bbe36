"""The agent: runs commands in a studio, each exactly once. One file, standard library only, Python 3.8 or later.

The engine uploads this file and calls it with `COMMAND` through the studio's shell::

    python agent.py start OPID --spec-sha256 HEX [--wait S]   start the operation, or attach, or replay its result
    python agent.py poll OPID --offset N [--wait S]           its output since byte N, and its state
    python agent.py exchange REQUEST [--wait S]               start and poll many operations in one call
    python agent.py stop OPID ... [--grace S]                 SIGTERM to their process groups, then SIGKILL
    python agent.py unpack ARCHIVE SHA256 DESTINATION         verify an uploaded archive, unpack it atomically, delete
                                                              it and older versions that were not used for long
    python agent.py forget OPID                               stop and remove one operation, with its output
    python agent.py leave RUN [--owes]                        stop and remove a run's operations: those whose ids begin
                                                              with its id and a dot; report the other runs here, and
                                                              whether RUN must stop the studio (`owes`: a run started
                                                              it, so the last run to leave stops it)
    python agent.py leave RUN --stay                          report only the other runs with running operations
    python agent.py budget RUN SECONDS [--stop-studio]        end the run's operations after so many seconds, and then
                                                              stop the studio; each call replaces the earlier one
    python agent.py python                                    the machine's interpreter: its path, version and folder
    python agent.py outputs WISH                              pack the outputs of an attempt that died with the machine
    python agent.py job OPID --spec-sha256 HEX --job-name N   run the operation here and now, as the command of a job
    python agent.py job ID --spec-sha256 HEX --step NAME      the same for one step of a pipeline

Every call prints one line of JSON. An operation is a folder `ops/OPID` beside this file. The creation of that folder
is the claim: however often `start` is delivered, the command runs once. Its specification `ops/OPID.json` is uploaded
before `start` and removed as soon as it is claimed, because it carries the step's secrets:
`{"argv": [...], "cwd": ..., "env": {...}, "scratch": [names of variables that get a private folder], "timeout": s,
"bin": the folder of the machine's interpreter, which comes first on PATH, "pythonpath": [folders that its Python
imports from first], "outputs": the wish of `Outputs`}`,
and for a job `"unpack": [[archive, SHA-256, destination], ...]`, which are unpacked before the command runs,
`"retry": {"count", "delay", "backoff"}`, `"budget"`: the seconds that the run's budget pays for, and `"mounted": true`
where this file's folder is a mount that outlives the job, as in a container; there, relative destinations and import
folders are below a private folder that is removed at the end. Operations that start in one call share one file
`ops/ID.json`, `{OPID: specification}`; an exchange request is
`{"start": {"file": ID, "sha256": HEX, "operations": {OPID: offset}}, "poll": {OPID: offset}}`, both parts optional, and
its answer `{"answers": {OPID: answer}}`. The jobs of a pipeline share one file `ops/ID.json`,
`{"steps": {name: specification}}`. A job prints a line that it has begun, the command's output, and after each attempt
its result. These lines of its own begin with `result_mark`, the first with the one of attempt 0. The mark proves that
the agent wrote the line, because it is a hash of the specification's `"word"`, which the command cannot read anywhere.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import signal
import sys
import threading
import time

# Every import here delays every step, so a module that only some calls need is imported in those.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO
    from typing import Any

# An import, because Python then compiles the file once rather than in every call. -I and -S leave out the user's
# variables and site-packages, which would delay each call.
COMMAND = (
    "python3",
    "-I",
    "-S",
    "-c",
    "import sys; sys.path.insert(0, '.lightning-native'); import agent; agent.main()",
)
HOME = os.path.dirname(os.path.abspath(__file__))
OPERATIONS = os.path.join(HOME, "ops")
LOG_LIMIT = 64 * 1024 * 1024
CHUNK = 256 * 1024
LARGEST_ANSWER = 1024 * 1024
# The bounds of `lightning_native.extract_archive`.
MOST_BYTES = 1 << 40
MOST_ENTRIES = 10_000_000
KEPT_CODES = 3
KEPT_CODE_SECONDS = 7 * 86400.0
RESULT_MARK = "lightning-native-result"
# The machine's environment, which is not on the PATH of every shell; newer machines have the first.
CONDA_FOLDERS = ("/system/conda/miniconda3/envs/cloudspace/bin", "/home/zeus/miniconda3/envs/cloudspace/bin")
# `sys.executable` names the interpreter, also where `python` is a wrapper of it.
QUESTION = (
    "import json, sys; "
    "print(json.dumps({'executable': sys.executable, 'version': '.'.join(map(str, sys.version_info[:3]))}))"
)
# Printed by a machine's wrappers until it is set up, with any exit code.
NOT_READY = "setting things up"
QUESTION_SECONDS = 60.0
UV_ENVIRONMENTS = "UV_LIGHTNING_VIRTUALENV_ROOT"
# Seconds: an upload is not always visible at once in the studio's file system.
UPLOAD_PATIENCE = 60.0
# Seconds in which a submitter deletes a job that its repeated request has created.
DUPLICATE_PATIENCE = 60.0
# Seconds: between the claim and the runner's lock, an operation seems dead for a moment.
CLAIM_PATIENCE = 10.0
# Larger than any sensible number of seconds or bytes.
FOR_EVER = 1 << 53
# Seconds that a command has when the run's budget is used.
BUDGET_GRACE = 5.0
# Seconds: a guard of a budget that has nothing to guard ends, so that the studio can go to sleep.
IDLE_GUARD_SECONDS = 600.0
GUARD_SECONDS = 0.5
BUDGET_FILE = ".budget"
# While a command is being stopped, how long its output is held back so that it arrives together with the result.
STOP_PATIENCE = 1.0
# The variable with the folder of an earlier attempt's outputs.
RESUME = "LIGHTNING_NATIVE_RESUME"
OUTPUTS = os.path.join(HOME, "outputs")
# The folder, in an archive of outputs, of those whose patterns begin with `~/`.
OUTPUTS_OF_HOME = "_home"
# So many of the files that an archive lacks are named.
MOST_NAMED = 20
CHANGED = "it changed while it was packed"
# The file of a scratch folder with the bytes that a step has needed at most.
PEAK_MEMORY = "peak-memory"
# Seconds: a new folder of the drive is mounted within a minute, as a rule.
MOUNT_PATIENCE = 180.0


def operation_folder(operation: str) -> str:
    if not isinstance(operation, str) or not re.match(r"[A-Za-z0-9][A-Za-z0-9._-]{0,249}\Z", operation):
        raise SystemExit("not an operation id: %r" % (operation,))
    folder = os.path.join(OPERATIONS, operation)
    if os.path.islink(folder):
        raise SystemExit("operation %s is a link, which is none of ours" % operation)
    return folder


def result_mark(word: str, attempt: int) -> str:
    """Return the beginning of the line with an attempt's result.

    Args:
        word: the specification's, which the process that follows the job knows as well.
        attempt: from 1; it is part of the hash, so that the line of one attempt proves nothing about the next. 0: the
            line that the job has begun.
    """
    proof = hashlib.sha256(("%s %d" % (word, attempt)).encode()).hexdigest()
    return "%s %s: " % (RESULT_MARK, proof[:32])


def write_json(path: str, value: Any) -> None:
    temporary = "%s.%d" % (path, os.getpid())
    with open(temporary, "w") as stream:
        json.dump(value, stream)
    os.replace(temporary, path)


def read_json(path: str) -> dict[str, Any] | None:
    """Return a dictionary that `write_json` wrote; None if the file is missing or has other content."""
    try:
        with open(path) as stream:
            value = parse(stream.read())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def parse(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("too deep") from None


def specification_path(name: str) -> str:
    path = operation_folder(name) + ".json"
    if os.path.islink(path):
        raise SystemExit("%s is a link, which is none of ours" % path)
    return path


def read_specifications(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as stream:
        try:
            content = parse(stream.read())
        except ValueError as error:
            raise SystemExit("%s cannot be read: %s" % (path, error)) from None
    if not isinstance(content, dict):
        raise SystemExit("%s holds no specification" % path)
    return content


def check_specification(spec: Any) -> dict[str, Any]:
    """Return a specification whose values have the right types; the command itself is checked when it runs."""

    def texts(value: Any) -> bool:
        return isinstance(value, (list, tuple)) and all(isinstance(text, str) for text in value)

    def archives(value: Any) -> bool:
        return isinstance(value, (list, tuple)) and all(texts(archive) and len(archive) == 3 for archive in value)

    def number(value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < FOR_EVER

    wrong = "is no mapping"
    if isinstance(spec, dict):
        env, retry, timeout = spec.get("env") or {}, spec.get("retry"), spec.get("timeout")
        is_right = {
            "argv": texts(spec.get("argv")) and bool(spec["argv"]),
            "cwd": isinstance(spec.get("cwd") or "", str),
            "env": isinstance(env, dict) and texts(list(env.values())),
            "scratch": texts(spec.get("scratch") or []),
            "timeout": timeout is None or number(timeout),
            "budget": spec.get("budget") is None or number(spec["budget"]),
            "retry": not retry
            or (isinstance(retry, dict) and all(number(retry.get(key)) for key in ("count", "delay", "backoff"))),
            "unpack": archives(spec.get("unpack") or []),
            "pythonpath": texts(spec.get("pythonpath") or []),
            "word": isinstance(spec.get("word", ""), str),
            "outputs": not spec.get("outputs") or is_wish(spec["outputs"]),
            "bin": not spec.get("bin") or (isinstance(spec["bin"], str) and os.path.isabs(spec["bin"])),
        }
        wrong = next(("has a wrong %s" % key for key, right in is_right.items() if not right), "")
        if not wrong:
            return spec
    raise SystemExit("the specification %s" % wrong)


def check_offsets(offsets: Any) -> dict[str, int]:
    if not isinstance(offsets, dict):
        raise SystemExit("no operations: %.80r" % (offsets,))
    for operation, offset in offsets.items():
        operation_folder(operation)
        if type(offset) is not int or not 0 <= offset < FOR_EVER:
            raise SystemExit("not an offset: %.80r" % (offset,))
    return offsets


def file_sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def wait_for_upload(
    path: str, sha256: str, needless: Callable[[], bool] = lambda: False, patience: float | None = None
) -> None:
    if patience is None:
        patience = UPLOAD_PATIENCE
    deadline = time.monotonic() + patience
    while not needless():
        try:
            if file_sha256(path) == sha256:
                return
        except FileNotFoundError:
            pass
        if time.monotonic() > deadline:
            raise SystemExit("the upload of %s did not arrive intact within %d s" % (path, patience))
        time.sleep(0.05)


def state_of(folder: str) -> str:
    """Return "unknown", "running", "done" or "lost"; lost: the studio died while the operation ran."""
    if not os.path.isdir(folder):
        return "unknown"
    if os.path.exists(os.path.join(folder, "result.json")):
        return "done"
    # Read before the lock is tried, because a runner that has just begun waits for the lock that we hold for a moment,
    # and writes this file afterwards.
    started = os.path.exists(os.path.join(folder, "runner.json"))
    try:
        with open(os.path.join(folder, "lock")) as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return "running"
    except FileNotFoundError:
        pass
    # The runner may have written its result and ended between the two checks.
    if os.path.exists(os.path.join(folder, "result.json")):
        return "done"
    return "lost" if started or time.time() - os.stat(folder).st_mtime > CLAIM_PATIENCE else "running"


def start(file: str, sha256: str, operations: list[str], *, together: bool) -> None:
    """Start operations; `ops/FILE.json` has the specification of one, or with `together` each under its id."""
    import contextlib

    path = specification_path(file)
    os.makedirs(OPERATIONS, mode=0o700, exist_ok=True)

    def claimed() -> bool:
        return all(os.path.isdir(operation_folder(operation)) for operation in operations)

    with contextlib.suppress(FileNotFoundError):
        # Another delivery of the same call may claim all operations and delete the file at any moment.
        wait_for_upload(path, sha256, claimed)
        if not claimed():
            os.chmod(path, 0o600)
            content = read_specifications(path)
            for operation in operations:
                claim(operation, check_specification(content.get(operation) if together else content))
        os.unlink(path)
    if not claimed():
        raise SystemExit("%s was deleted before it was read" % path)


def claim(operation: str, spec: dict[str, Any]) -> None:
    """Run an operation in a process of its own, unless it was claimed before."""
    folder = operation_folder(operation)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        return
    detach(lambda: run(folder, spec))


def run_as_job(operation: str, spec_sha256: str, job_name: str | None, step: str | None) -> int:
    """Run an operation in the foreground, as the command of a job."""
    if job_name and is_duplicate(job_name):
        print("this job is a duplicate of %s, which runs the command" % job_name)
        return 1
    if job_name:
        # The platform does not set it everywhere, and commands read it.
        os.environ.setdefault("LIGHTNING_JOB_NAME", job_name)
    spec_path = specification_path(operation)
    wait_for_upload(spec_path, spec_sha256)
    content: Any = read_specifications(spec_path)
    if step is not None:
        steps = content.get("steps")
        content = steps.get(step) if isinstance(steps, dict) else None
    spec = check_specification(content)
    if "word" not in spec:
        raise SystemExit("the specification has no word to prove its result by")
    # Lightning starts a pipeline's jobs again, with the same mounts; the pipeline's creator removes the specification.
    if step is None or not spec.get("mounted"):
        # The submitter removes a specification that cannot be removed here, such as on a read-only mount.
        remove_quietly(spec_path)
    if not spec.get("mounted"):
        # The job's copy of the studio may have the specifications of other jobs, which are secret.
        for name in os.listdir(OPERATIONS):
            if name.endswith(".json"):
                remove_quietly(os.path.join(OPERATIONS, name))
    sys.stdout.write(result_mark(spec["word"], 0) + "{}\n")
    sys.stdout.flush()
    import shutil
    import tempfile

    # Not below the home, whose files become artifacts that the whole teamspace can read; a container's home may also be
    # missing or read-only.
    private = tempfile.mkdtemp(prefix="lightning-native-")
    try:
        return run_unpacked(spec, private)
    finally:
        shutil.rmtree(private, ignore_errors=True)


def is_duplicate(job_name: str) -> bool:
    """Return whether this job was created by a repetition of the request for the job `job_name`, which runs instead.

    The platform gives a job another name if the requested one is taken, maybe by a job that is being deleted. Then this
    is the only job.
    """
    if os.environ.get("LIGHTNING_JOB_NAME", job_name).lower() == job_name.lower():
        return False
    if is_one_of_several():
        # Each machine has a name of its own; the engine deletes the copies.
        return False
    found = job_exists(job_name)
    if found is None:
        time.sleep(DUPLICATE_PATIENCE)
    return bool(found)


def is_one_of_several() -> bool:
    """Return whether this machine is one of several that run the same command, each with its rank."""
    return os.environ.get("NUM_NODES", "1") not in ("", "1") and "NODE_RANK" in os.environ


def job_exists(name: str) -> bool | None:
    """Return whether Lightning has a job of this name; None if it does not answer, or this machine may not ask."""
    import urllib.parse

    status = ask_lightning("jobs/find?" + urllib.parse.urlencode({"name": name}))
    return {200: True, 404: False}.get(status or 0)


def stop_studio() -> bool:
    """Ask Lightning to stop this studio, and return whether it has agreed."""
    studio = os.environ.get("LIGHTNING_CLOUD_SPACE_ID", "")
    return bool(studio) and ask_lightning("cloudspaces/%s/stop" % studio, b"{}") == 200


def ask_lightning(path: str, body: bytes | None = None) -> int | None:
    """Return the status of Lightning's answer to a request about the teamspace; None without one."""
    import base64
    import urllib.error
    import urllib.request

    address, project, user, key = (
        os.environ.get("LIGHTNING_" + each, "") for each in ("CLOUD_URL", "CLOUD_PROJECT_ID", "USER_ID", "API_KEY")
    )
    if not (address.startswith(("http://", "https://")) and project and key):
        return None
    url = "%s/v1/projects/%s/%s" % (address.rstrip("/"), project, path)
    request = urllib.request.Request(url, data=body, method="GET" if body is None else "POST")  # noqa: S310  as checked
    basic = base64.b64encode(("%s:%s" % (user, key)).encode()).decode()
    request.add_header("Authorization", "Basic " + basic if user else "Bearer " + key)
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  checked above
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return None


def remove_quietly(path: str) -> None:
    try:  # noqa: SIM105  contextlib would be imported for this alone
        os.unlink(path)
    except OSError:
        pass


def run_unpacked(spec: dict[str, Any], private: str) -> int:
    """Unpack a job's archives below `private`, unless its studio has unpacked them, and run the command."""
    places: dict[str, str] = {}
    for archive, sha256, destination in spec.get("unpack") or []:
        home = os.path.expanduser(destination)
        is_there = os.path.isabs(home) and os.path.isdir(home)
        places[destination] = home if is_there else os.path.join(private, destination.replace("~/", "", 1))
        unpack(archive, sha256, places[destination])

    def place(path: str) -> str:
        return places.get(path) or os.path.join(private, os.path.expanduser(path))

    spec = dict(spec, cwd=places.get(spec.get("cwd") or "", spec.get("cwd")))
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with open(1, "wb", buffering=0, closefd=False) as output:
        paths = list(map(place, spec.get("pythonpath") or []))
        return run_attempts(dict(spec, pythonpath=paths), private, output, stopping)


def run_attempts(spec: dict[str, Any], private: str, output: FileIO, stopping: threading.Event) -> int:
    """Run a job's command until it succeeds, is stopped, or has no retry left; return the job's exit code."""
    retry = spec.get("retry") or {"count": 0}
    here = os.getcwd() if os.access(".", os.W_OK) else None
    work = here if spec.get("mounted") else private
    attempt = 1
    budget, begun = spec.get("budget"), time.monotonic()
    while True:
        if budget is not None:
            spec = dict(spec, budget=max(0.0, begun + budget - time.monotonic()))
        result = run_command(work, None, spec, output, stopping, private)
        # One write that begins with a line break, because the command's last line may have none.
        output.write(("\n%s%s\n" % (result_mark(spec["word"], attempt), json.dumps(result))).encode())
        code = int(result["exit_code"])
        if code == 0 or stopping.is_set() or attempt > retry["count"] or result.get("over_budget"):
            return code if code >= 0 else 128 - code
        if stopping.wait(pause(retry, attempt)):
            return 128 + signal.SIGTERM
        attempt += 1


def pause(retry: dict[str, Any], failures: int) -> float:
    """Return the seconds to wait after so many failures, ten years at most."""
    longest = 10 * 365 * 86400.0
    try:
        return min(float(retry["delay"]) * float(retry["backoff"]) ** (failures - 1), longest)
    except OverflowError:
        return longest


def detach(action: Callable[[], None]) -> None:
    """Run `action` in a process that outlives this one and its terminal."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    try:
        action()
    finally:
        os._exit(0)


def run(folder: str, spec: dict[str, Any]) -> None:
    """Run the command of one operation to its end and write its result. Called once, detached."""
    stopping = threading.Event()
    # Set before the child exists, so that an early stop is not lost.
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with open(os.path.join(folder, "lock"), "w") as lock, open(os.path.join(folder, "log"), "ab", buffering=0) as log:
        # Held for as long as the runner lives: a process that can acquire it knows that the runner is gone.
        fcntl.flock(lock, fcntl.LOCK_EX)
        write_json(os.path.join(folder, "result.json"), run_command(folder, folder, spec, log, stopping))


def is_wish(wish: Any) -> bool:
    """Return whether a value is the wish of `Outputs`."""

    def count(value: Any, least: int) -> bool:
        return type(value) is int and least <= value < FOR_EVER

    if not isinstance(wish, dict) or not isinstance(wish.get("store"), str):
        return False
    patterns, every, attempt = wish.get("patterns"), wish.get("every"), wish.get("attempt")
    return (
        isinstance(patterns, (list, tuple))
        and all(isinstance(pattern, str) and pattern.strip("/.~") for pattern in patterns)
        and (every is None or (isinstance(every, (int, float)) and 0 < every < FOR_EVER))
        and (attempt is None or count(attempt, 1))
        and count(wish.get("most_bytes"), 1)
        and count(wish.get("most_files"), 1)
    )


class Outputs:
    """The outputs of one attempt, which it packs into a store, at its end and while it runs.

    A store is a folder that outlives the attempt, so that the next one finds the outputs. It has records
    `N.json`, numbered without a gap, and archives `N.tar.gz`. Neither is ever replaced, and a record is written after
    its archive, because object storage that is mounted as a folder knows neither renames nor locks. A record is
    `{"attempt": number, "files": number in the archive, "archive": N, "sha256": HEX, "final": whether the attempt has
    ended, "left_out": [[file, reason], ...], "left_out_count": number}`. Each attempt begins with a record without
    files, so that attempts are counted also where one leaves nothing. Record 0 is the engine's; with `"seeded"`, record
    1 is, too, and has the outputs of an earlier attempt.

    The wish is `{"patterns": [globs, relative to the working folder or `~/...`], "store": folder, "attempt": number,
    or None where only the store knows it, "every": seconds between two archives, or None, "most_bytes", "most_files"}`.
    """

    def __init__(self, wish: dict[str, Any], cwd: str, work: str | None, scratch: str | None = None) -> None:
        self._wish = wish
        self._root = os.path.realpath(os.path.expanduser(cwd))
        self._work = work
        self._skipped = {os.path.realpath(path) for path in (HOME, work, scratch) if path}
        self._store = ""
        self._in_home = False
        self._attempt = wish.get("attempt") or 1
        self._number = 0
        self._newest: dict[str, Any] = {"files": 0}
        self._packed: list[tuple[Any, ...]] = []
        self._problem = self._resumed = ""
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, environment: dict[str, str]) -> None:
        """Open the store, let the command know an earlier attempt's outputs, and begin to pack its own."""
        environment.pop(RESUME, None)
        try:
            records = self.open()
            resumed = self._unpack_newest(records)
        except (OSError, ValueError, SystemExit) as error:
            self._problem = str(error)
            return
        if resumed is not None:
            environment[RESUME] = self._resumed = resumed
        if self._wish.get("every"):
            self._thread = threading.Thread(target=self._pack_again_and_again, daemon=True)
            self._thread.start()

    def open(self) -> list[dict[str, Any]]:
        """Return the records of the store, and add the one that this attempt has begun."""
        self._store, self._in_home = find_store(self._wish["store"])
        records = read_records(self._store)
        if records and records[0].get("seeded") is True and len(records) == 1:
            deadline = time.monotonic() + UPLOAD_PATIENCE
            while len(records) == 1 and time.monotonic() < deadline:
                time.sleep(0.2)
                records = read_records(self._store)
        self._attempt = self._wish.get("attempt") or 1 + max([record["attempt"] for record in records] or [0])
        self._number = max(1, len(records))
        last = records[-1] if records else {}
        if (
            self._wish["store"].startswith("~/")
            and 0 < last.get("attempt", 0) < self._attempt
            and not last.get("final")
        ):
            # The machine died with that attempt, and a studio still has its files.
            attempt, self._attempt = self._attempt, last["attempt"]
            self._pack(final=True)
            self._attempt, self._packed, self._newest = attempt, [], {"files": 0}
            records = read_records(self._store)
        self._record({"files": 0})
        return records

    def _record(self, values: dict[str, Any]) -> None:
        while True:
            self._number += 1
            try:
                with open(os.path.join(self._store, "%d.json" % (self._number - 1)), "x") as stream:
                    json.dump(dict(values, attempt=self._attempt), stream)
                return
            except FileExistsError:
                # Another process, such as a duplicate that has not ended yet, writes there, too.
                continue

    def _unpack_newest(self, records: list[dict[str, Any]]) -> str | None:
        """Unpack the newest archive of an earlier attempt; return its folder, None without one."""
        import tempfile
        import zlib

        for record in reversed(records):
            if not record["files"]:
                continue
            archive = os.path.join(self._store, "%d.tar.gz" % record["archive"])
            folder = tempfile.mkdtemp(prefix="resume-", dir=self._work)
            try:
                wait_for_upload(archive, record["sha256"], patience=UPLOAD_PATIENCE if os.path.exists(archive) else 5.0)
                unpack_tar(archive, folder)
            except (OSError, EOFError, ValueError, SystemExit, zlib.error):
                # An older archive is better than none.
                remove_folder(folder)
                continue
            return folder
        return None

    def _pack_again_and_again(self) -> None:
        while not self._ended.wait(self._wish["every"]):
            try:
                self._pack(final=False)
            except (OSError, ValueError) as error:
                self._problem = str(error)

    def finish(self) -> dict[str, Any]:
        """Pack the outputs at the attempt's end, and return what the result of its command tells of them."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self._store:
            try:
                self._pack(final=True)
                self._problem = ""
            except (OSError, ValueError) as error:
                self._problem = str(error)
        if self._resumed:
            remove_folder(self._resumed)
        return {"number": self._number - 1, "in_home": self._in_home, "problem": self._problem}

    def _pack(self, *, final: bool) -> None:
        import tempfile

        found, left_out = select_outputs(self._root, self._wish["patterns"], self._skipped)
        found, left_out = bounded_outputs(found, left_out, self._wish)
        packed = [(name, status.st_ino, status.st_size, status.st_mtime_ns) for name, _, status in found]
        if packed == self._packed or not packed:
            # Unchanged: another record is enough.
            if final:
                self._record(dict(self._newest if packed else {"files": 0}, final=True, **names_of(left_out)))
            return
        with tempfile.TemporaryFile(prefix="outputs-", dir=self._work) as stream:
            lost = write_tar(found, stream)
            stream.seek(0)
            archive = os.path.join(self._store, "%d.tar.gz" % self._number)
            sha256 = copy_compressed(stream, archive)
        values = {"files": len(found) - len(lost), "archive": self._number, "sha256": sha256}
        earlier, self._newest = self._newest, dict(values)
        self._record(dict(values, final=final, **names_of(left_out + lost)))
        # A file that was being written is tried again.
        self._packed = [] if any(reason == CHANGED for _, reason in lost) else packed
        # The engine may be reading the last but one.
        self._remove_older_than(earlier)

    def _remove_older_than(self, kept: dict[str, Any]) -> None:
        for number in range(max(1, self._number - 20), kept.get("archive", 0)):
            record = read_json(os.path.join(self._store, "%d.json" % number))
            if record and record.get("attempt") == self._attempt and record.get("archive") == number:
                remove_quietly(os.path.join(self._store, "%d.tar.gz" % number))


def find_store(path: str) -> tuple[str, bool]:
    """Return the folder of a store, and whether it is below this machine's home, because the drive is not mounted."""
    if not path.startswith("~/"):
        # Never created here: it is the engine's, and its place is mounted or is none of ours.
        deadline = time.monotonic() + (MOUNT_PATIENCE if os.path.isdir(os.path.dirname(os.path.dirname(path))) else 0)
        while True:
            if os.path.isdir(path) and os.access(path, os.W_OK):
                return path, False
            if time.monotonic() > deadline:
                break
            time.sleep(0.5)
    folder = os.path.expanduser(path) if path.startswith("~/") else os.path.join(OUTPUTS, os.path.basename(path))
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder, not path.startswith("~/")


def read_records(store: str) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    while True:
        path = os.path.join(store, "%d.json" % len(records))
        if not os.path.exists(path) and (records or not os.path.exists(os.path.join(store, "1.json"))):
            return records
        record = read_json(path) or {}
        is_right = all(type(record.get(key, 0)) is int for key in ("attempt", "files", "archive"))
        if not is_right or not isinstance(record.get("sha256", ""), str):
            record = {}
        records.append(dict({"attempt": 0, "files": 0, "archive": 0, "sha256": ""}, **record))


def select_outputs(
    root: str, patterns: list[str], skipped: set[str]
) -> tuple[list[tuple[str, str, os.stat_result]], list[tuple[str, str]]]:
    """Return the files that match, as (name in the archive, path, status), and the others as (name, reason)."""
    paths: dict[str, str] = {}
    for pattern in patterns:
        is_home = pattern.startswith("~/")
        top = os.path.realpath(os.path.expanduser("~")) if is_home else root
        parts = [part for part in pattern.split("/")[is_home:] if part not in ("", ".")]
        for path in matching(top, parts, skipped):
            name = os.path.relpath(path, top)
            paths[OUTPUTS_OF_HOME + "/" + name if is_home else name] = path
    found: list[tuple[str, str, os.stat_result]] = []
    left_out: list[tuple[str, str]] = []
    links: list[tuple[str, str, os.stat_result]] = []
    folded: dict[str, str] = {}
    for name, path in sorted(paths.items()):
        try:
            status = os.lstat(path)
        except OSError:
            # Deleted since.
            continue
        other = folded.setdefault(name.lower(), name)
        if other != name:
            left_out.append((name, "its name differs from %s in case only" % other))
        elif os.path.islink(path):
            links.append((name, path, status))
        elif os.path.isfile(path):
            found.append((name, path, status))
        else:
            left_out.append((name, "it is neither a file nor a link"))
    names = {name for name, _, _ in found}
    for name, path, status in links:
        target = os.path.normpath(os.path.join(os.path.dirname(name), os.readlink(path)))
        if target in names and not os.path.isabs(os.readlink(path)):
            found.append((name, path, status))
        else:
            left_out.append((name, "it is a link to something that is no output"))
    return found, left_out


def matching(top: str, parts: list[str], skipped: set[str]) -> list[str]:
    """Return the files and links below a folder whose path matches; a folder that matches counts with all below it."""
    from fnmatch import fnmatchcase

    found = []
    todo, seen = [(top, 0)], {(top, 0)}

    def visit(folder: str, index: int) -> None:
        if (folder, index) not in seen and folder not in skipped:
            seen.add((folder, index))
            todo.append((folder, index))

    while todo:
        folder, index = todo.pop()
        part = parts[index] if index < len(parts) else "**"
        is_last = index >= len(parts) - 1
        if part == "**" and not is_last:
            visit(folder, index + 1)
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        for entry in entries:
            if part != "**" and not fnmatchcase(entry.name, part):
                continue
            if entry.is_dir(follow_symlinks=False):
                visit(entry.path, index if part == "**" else index + 1)
            elif is_last:
                found.append(entry.path)
    return found


def bounded_outputs(
    found: list[tuple[str, str, os.stat_result]], left_out: list[tuple[str, str]], wish: dict[str, Any]
) -> tuple[list[tuple[str, str, os.stat_result]], list[tuple[str, str]]]:
    """Leave out the files beyond the bounds, the oldest first: of many checkpoints, the last ones matter."""
    left = int(wish["most_bytes"])
    kept: list[tuple[str, str, os.stat_result]] = []
    lost = list(left_out)
    for item in sorted(found, key=lambda each: (-each[2].st_mtime_ns, each[0])):
        if len(kept) >= wish["most_files"]:
            lost.append((item[0], "there are more than %d files" % wish["most_files"]))
        elif item[2].st_size > left:
            lost.append((item[0], "the outputs are larger than %d bytes" % wish["most_bytes"]))
        else:
            left -= item[2].st_size
            kept.append(item)
    return sorted(kept, key=lambda each: each[0]), lost


def names_of(left_out: list[tuple[str, str]]) -> dict[str, Any]:
    shown = [
        [name.encode(errors="surrogateescape").decode(errors="backslashreplace"), reason] for name, reason in left_out
    ]
    return {"left_out": shown[:MOST_NAMED], "left_out_count": len(shown)}


def write_tar(found: list[tuple[str, str, os.stat_result]], stream: Any) -> list[tuple[str, str]]:
    """Write files into a tar; return those that cannot be read, or change meanwhile, with the reasons."""
    import tarfile

    lost = []
    # GNU's format has names of any bytes.
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, path, status in found:
            entry = tarfile.TarInfo(name)
            entry.mode = 0o755 if status.st_mode & 0o100 else 0o644
            entry.mtime = int(status.st_mtime)
            if os.path.islink(path):
                entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink(path)
                tar.addfile(entry)
                continue
            entry.size = status.st_size
            begin = tar.offset
            try:
                # O_NONBLOCK: a pipe that has taken the file's place must not hold us up.
                source = open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")  # noqa: SIM115  closed below
            except OSError as error:
                lost.append((name, error.strerror or str(error)))
                continue
            with source:
                try:
                    tar.addfile(entry, source)
                    after = os.fstat(source.fileno())
                except OSError as error:
                    if error.errno in (errno.ENOSPC, errno.EDQUOT):
                        raise
                    after = None
            if after is None or (after.st_size, after.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
                lost.append((name, CHANGED))
                stream.seek(begin)
                stream.truncate()
                tar.offset = begin
            # The library remembers each entry, and would hold them all in memory.
            tar.members = []  # type: ignore[attr-defined]  # typeshed lacks it
    return lost


def copy_compressed(stream: Any, path: str) -> str:
    """Copy a stream into a new compressed file, of which nothing is left if that fails; return its SHA-256."""
    import zlib

    # Left by a runner that was killed: a file without a record.
    remove_quietly(path)
    digest, compressor = hashlib.sha256(), zlib.compressobj(1, zlib.DEFLATED, 31)
    try:
        with open(path, "xb") as target:

            def write(data: bytes) -> None:
                digest.update(data)
                target.write(data)

            for block in iter(lambda: stream.read(1 << 20), b""):
                write(compressor.compress(block))
            write(compressor.flush())
            target.flush()
            os.fsync(target.fileno())
    except BaseException:
        remove_quietly(path)
        raise
    return digest.hexdigest()


def remove_folder(path: str) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)


def pack_left_outputs(wish: Any) -> dict[str, Any]:
    """Pack the outputs of an attempt that died with the machine, whose files are still in the studio."""
    import tempfile

    if not isinstance(wish, dict) or not isinstance(wish.get("cwd"), str) or not is_wish(wish.get("outputs")):
        raise SystemExit("no wish for outputs: %.80r" % (wish,))
    work = tempfile.mkdtemp(prefix="lightning-native-")
    try:
        outputs = Outputs(wish["outputs"], wish["cwd"], work)
        outputs.open()
        return outputs.finish()
    finally:
        remove_folder(work)


def run_command(
    work: str | None,
    folder: str | None,
    spec: dict[str, Any],
    log: FileIO,
    stopping: threading.Event,
    private: str | None = None,
) -> dict[str, Any]:
    """Run a command to its end and return its result; `work` has its scratch folder, `folder` is its operation's.

    `private` has the outputs while they are packed, and those of an earlier attempt; without it, `folder` has them.
    """
    environment = command_environment(spec)
    scratch = None
    if spec.get("scratch"):
        import shutil
        import tempfile

        scratch = tempfile.mkdtemp(prefix="scratch-", dir=work)
        environment.update(dict.fromkeys(spec["scratch"], scratch))
    outputs = None
    if spec.get("outputs"):
        outputs = Outputs(spec["outputs"], spec.get("cwd") or "~", private or folder, scratch)
        outputs.begin(environment)
    result: dict[str, Any] = {"started": time.time()}
    result.update(spawn_and_supervise(folder, spec, environment, log, stopping))
    result["ended"] = time.time()
    if outputs is not None:
        result["outputs"] = outputs.finish()
    if scratch is not None:
        try:
            # Of a step that a process outside of this session has forked.
            with open(os.path.join(scratch, PEAK_MEMORY)) as stream:
                result["peak_memory"] = max(result["peak_memory"], int(stream.read()))
        except (OSError, ValueError):
            pass
        shutil.rmtree(scratch, ignore_errors=True)
    return result


def command_environment(spec: dict[str, Any]) -> dict[str, str]:
    """Return a command's variables, with its interpreter first on PATH and its folders first on PYTHONPATH."""
    environment = {**os.environ, **(spec.get("env") or {})}
    if spec.get("pythonpath"):
        folders = [*map(os.path.expanduser, spec["pythonpath"]), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
    if spec.get("bin"):
        # A job's machine may have its environment in another folder than the studio whose interpreter `bin` is.
        active = os.path.join(os.environ.get("VIRTUAL_ENV", ""), "bin")
        has_python = os.path.isabs(active) and os.path.exists(os.path.join(active, "python"))
        folder = active if has_python else spec["bin"]
        if os.path.isdir(folder):
            others = [each for each in os.get_exec_path(environment) if each != folder]
            environment["PATH"] = os.pathsep.join([folder, *others])
    if not os.path.isdir(environment.get(UV_ENVIRONMENTS, "/")):
        # `uv run` fails if this folder is missing, which it is on new machines.
        del environment[UV_ENVIRONMENTS]
    return environment


def spawn_and_supervise(
    folder: str | None, spec: dict[str, Any], environment: dict[str, str], log: FileIO, stopping: threading.Event
) -> dict[str, Any]:
    never_ran = {"exit_code": 127, "timed_out": False, "stopped": False, "peak_memory": 0}
    if folder is not None and os.path.exists(os.path.join(folder, "stop")):
        return dict(never_ran, exit_code=-signal.SIGTERM, stopped=True)
    try:
        os.chdir(os.path.expanduser(spec.get("cwd") or "~"))
        child, output = spawn(spec["argv"], environment)
    except (OSError, ValueError) as error:
        # A ValueError is a word that no system accepts, such as one with a NUL.
        log.write(("cannot start %r: %s\n" % (spec["argv"][:1], error)).encode(errors="backslashreplace"))
        return never_ran
    if folder is not None:
        write_json(os.path.join(folder, "runner.json"), {"runner": os.getpid(), "child": child})
        # A stop request from before runner.json existed could only leave this file.
        if os.path.exists(os.path.join(folder, "stop")):
            stopping.set()
    return supervise(child, output, log, spec, stopping, folder)


def spawn(argv: list[str], environment: dict[str, str]) -> tuple[int, int]:
    """Start a command in a session of its own; return its process id and the reading end of its output."""
    # The import of subprocess would take a third of the time that a job takes to start.
    program = find_program(argv[0], environment)
    close_on_exec()
    source, sink = os.pipe()
    try:
        child = os.posix_spawn(
            program,
            argv,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, sink, 1),
                (os.POSIX_SPAWN_DUP2, sink, 2),
            ],
            setsid=True,
            # Python ignores these signals, and a child inherits that.
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )
    except BaseException:
        os.close(source)
        raise
    finally:
        os.close(sink)
    inherit_niceness(child)
    return child, source


def inherit_niceness(child: int) -> None:
    """Give a child's session our niceness, because Linux schedules sessions and a new one begins at 0: sched(7)."""
    niceness = os.nice(0)
    try:
        if niceness > 0:
            with open("/proc/%d/autogroup" % child, "w") as autogroup:
                autogroup.write(str(niceness))
    except OSError:
        # Not every system has autogroups, and Linux refuses frequent changes.
        return


def close_on_exec() -> None:
    """Keep the files that this process inherited open from the commands that it starts."""
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        # macOS has no such folder.
        return
    for name in names:
        try:
            os.set_inheritable(int(name), int(name) <= 2)
        except OSError:
            # This descriptor was open for the listing only.
            continue


def find_program(name: str, environment: dict[str, str]) -> str:
    if os.sep in name:
        return name
    for folder in os.get_exec_path(environment):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def supervise(
    child: int, output: int, log: FileIO, spec: dict[str, Any], stopping: threading.Event, folder: str | None
) -> dict[str, Any]:
    """Copy a child's output to the log until it ends; stop it on request, at its time limit, or without a budget."""
    copier = threading.Thread(target=copy_output, args=(output, log), daemon=True)
    copier.start()
    begun = time.monotonic()
    timeout, budget = spec.get("timeout"), spec.get("budget")
    deadline = begun + timeout if timeout else None
    spent = begun + budget if budget is not None else None
    kill_at = None
    outcome: dict[str, Any] = {"timed_out": False, "stopped": False}
    out_of_memory = out_of_memory_kills()
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            break
        now = time.monotonic()
        if kill_at is None and (stopping.is_set() or (deadline and now > deadline)):
            outcome["stopped" if stopping.is_set() else "timed_out"] = True
            wish = read_json(os.path.join(folder, "stop")) if folder is not None else None
            if (wish or {}).get("over_budget"):
                outcome.update(stopped=False, over_budget=True)
            kill_at = now + float((wish or {}).get("grace", 10))
            signal_group(child, signal.SIGTERM)
        elif kill_at is None and spent is not None and now > spent:
            outcome["over_budget"] = True
            kill_at = now + BUDGET_GRACE
            signal_group(child, signal.SIGTERM)
        elif kill_at is not None and now > kill_at:
            signal_group(child, signal.SIGKILL)
        # Short pauses at first, so that the end of a short operation is noticed at once; later ones cost nothing.
        copier.join(0.005 if now - begun < 1 else 0.05)
        if not copier.is_alive():
            time.sleep(0.005)
    if kill_at is not None:
        signal_group(child, signal.SIGKILL)
    # A leftover process of the command may hold the pipe open for ever.
    copier.join(1.0)
    outcome["exit_code"] = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    outcome["peak_memory"] = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if kill_at is None and outcome["exit_code"] in (-signal.SIGKILL, 128 + signal.SIGKILL):
        outcome["memory"] = machine_memory()
        outcome["out_of_memory"] = out_of_memory_kills() > out_of_memory
    return outcome


def numbers_of(path: str) -> dict[str, int]:
    """Return the numbers of a file of the kernel that has one after each name; none if it cannot be read."""
    try:
        with open(path) as stream:
            found = [line.replace(":", " ").split() for line in stream]
        return {words[0]: int(words[1]) for words in found if len(words) > 1 and words[1].isdigit()}
    except OSError:
        return {}


def out_of_memory_kills() -> int:
    """Return the number of processes that the kernel has killed for want of memory, also for a limit of a container."""
    return numbers_of("/proc/vmstat").get("oom_kill", 0)


def machine_memory() -> int:
    """Return the bytes of memory that this machine has, or a container is limited to; 0 if unknown."""
    known = [numbers_of("/proc/meminfo").get("MemTotal", 0) * 1024]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path) as stream:
                known.append(int(stream.read()))
        except (OSError, ValueError):
            # There is no such file on other systems, and the word for no limit is no number.
            continue
    return min(filter(None, known), default=0)


def copy_output(source: int, log: FileIO) -> None:
    written = 0
    while True:
        block = os.read(source, 65536)
        if not block:
            os.close(source)
            return
        if written < LOG_LIMIT:
            log.write(block)
            written += len(block)
            if written >= LOG_LIMIT:
                log.write(b"\n[the log is longer than %d bytes; the rest is not kept]\n" % LOG_LIMIT)


def signal_group(pid: int, number: int) -> None:
    import contextlib

    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def exchange(request: dict[str, Any], wait: float) -> dict[str, Any]:
    if not isinstance(request, dict):
        raise SystemExit("no request: %.80r" % (request,))
    offsets = dict(check_offsets(request.get("poll") or {}))
    together = request.get("start")
    if together:
        if not isinstance(together, dict) or not isinstance(together.get("sha256"), str):
            raise SystemExit("nothing to start: %.80r" % (together,))
        operations = check_offsets(together.get("operations"))
        start(together.get("file", ""), together["sha256"], list(operations), together=True)
        offsets.update(operations)
    # An operation that has just started is often short: its end may come with this answer.
    return {"answers": poll(offsets, wait, until_all=bool(together))}


def poll(offsets: dict[str, int], wait: float, *, until_all: bool = False) -> dict[str, Any]:
    """Return the states of operations and their output since these offsets, once one (or each) has news."""
    import base64

    begun = time.monotonic()
    news_since = None
    while True:
        answers = {operation: look(operation, offset) for operation, offset in offsets.items()}
        running = [operation for operation, answer in answers.items() if answer["state"] == "running"]
        quiet = [operation for operation in running if not answers[operation]["size"]]
        now = time.monotonic()
        if now - begun > wait:
            break
        if not quiet or (len(quiet) < len(answers) and not until_all):
            news_since = news_since or now
            # Operations that are stopped together end together, and one answer then has all ends.
            if now - news_since > STOP_PATIENCE or not any(map(is_stopping, running)):
                break
        time.sleep(0.02)
    if wait and running and len(quiet) < len(answers):
        # After a moment, one call carries a burst of lines and several ends rather than one.
        time.sleep(0.1)
        answers = {operation: look(operation, offset) for operation, offset in offsets.items()}
    room = LARGEST_ANSWER
    for operation, answer in answers.items():
        data = read_log(operation_folder(operation), answer["offset"], min(CHUNK, room)) if room else b""
        room -= len(data)
        answer["data"] = base64.b64encode(data).decode()
        answer["offset"] += len(data)
        answer["more"] = answer.pop("size") > len(data)
    return answers


def is_stopping(operation: str) -> bool:
    return os.path.exists(os.path.join(operation_folder(operation), "stop"))


def look(operation: str, offset: int) -> dict[str, Any]:
    folder = operation_folder(operation)
    # The state is read before the size, because the log is complete after "done".
    answer: dict[str, Any] = {"state": state_of(folder), "offset": offset}
    try:
        answer["size"] = max(0, os.path.getsize(os.path.join(folder, "log")) - offset)
    except FileNotFoundError:
        answer["size"] = 0
    if answer["state"] == "done":
        answer["result"] = read_json(os.path.join(folder, "result.json"))
    return answer


def read_log(folder: str, offset: int, most: int) -> bytes:
    try:
        with open(os.path.join(folder, "log"), "rb") as log:
            log.seek(offset)
            return log.read(most)
    except FileNotFoundError:
        return b""


def stop(operation: str, grace: float, over_budget: bool = False) -> dict[str, Any]:
    import contextlib

    folder = operation_folder(operation)
    os.makedirs(OPERATIONS, mode=0o700, exist_ok=True)
    try:
        # The claim of an operation that has not started keeps it from ever starting.
        os.mkdir(folder, 0o700)
        never_ran = {"exit_code": -signal.SIGTERM, "timed_out": False, "stopped": True, "peak_memory": 0}
        write_json(os.path.join(folder, "result.json"), dict(never_ran, started=time.time(), ended=time.time()))
    except FileExistsError:
        write_json(os.path.join(folder, "stop"), {"grace": grace, "over_budget": over_budget})
    if state_of(folder) == "running":
        runner = read_json(os.path.join(folder, "runner.json"))
        if runner:
            with contextlib.suppress(ProcessLookupError):
                os.kill(runner["runner"], signal.SIGTERM)
    return {"state": state_of(folder)}


def give_budget(run: str, lasts: float, stops: bool) -> dict[str, Any]:
    """Let a guard end a run's operations after some seconds, and then stop the studio; without a controller, too."""
    operation_folder(run)
    os.makedirs(OPERATIONS, mode=0o700, exist_ok=True)
    # Its name begins as those of the run's operations do, so that it is removed with them.
    path = os.path.join(OPERATIONS, run + BUDGET_FILE)
    write_json(path, {"given": time.time(), "until": time.time() + lasts, "stop_studio": stops})
    detach(lambda: guard(run, path))
    return {"state": "done"}


def guard(run: str, path: str) -> None:
    """Wait until a run's budget is used, unless another guard does; end when the run has left the studio."""
    with open(os.path.join(HOME, "%s.guard" % run), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        used = time.time()
        while True:
            given = read_json(path)
            if given is None:
                break
            if time.time() > given["until"]:
                end_operations(run)
                if given["stop_studio"]:
                    stop_studio()
                break
            if running_operations(run):
                used = time.time()
            if time.time() - max(used, given["given"]) > IDLE_GUARD_SECONDS:
                break
            time.sleep(GUARD_SECONDS)
        remove_quietly(lock.name)


def end_operations(run: str) -> None:
    """End a run's operations because its budget is used, and wait for their ends."""
    for name in running_operations(run):
        stop(name, BUDGET_GRACE, over_budget=True)
    deadline = time.monotonic() + BUDGET_GRACE + 1
    while running_operations(run) and time.monotonic() < deadline:
        time.sleep(0.02)


def running_operations(run: str) -> list[str]:
    names = [name for name in os.listdir(OPERATIONS) if name.startswith(run + ".")]
    return [name for name in names if state_of(os.path.join(OPERATIONS, name)) == "running"]


def unpack_tar(archive: str, folder: str) -> None:
    """Unpack a tar file into a new folder, and write nothing outside of it, whatever the archive's content.

    Raises ValueError, which names the entry, for an entry that must not be unpacked.
    """
    import shutil
    import tarfile

    links = []
    left = MOST_BYTES
    with tarfile.open(archive) as entries:
        for count, entry in enumerate(entries):
            parts = [part for part in entry.name.split("/") if part not in ("", ".")]
            if entry.name.startswith("/") or ".." in parts or "\0" in entry.name:
                raise ValueError(f"{entry.name!r} lies outside of the archive's folder; nothing is unpacked")
            left -= entry.size
            if left < 0 or count >= MOST_ENTRIES:
                raise ValueError(f"{entry.name!r} is more than may be unpacked of one archive")
            path = os.path.join(folder, *parts)
            if entry.isdir():
                os.makedirs(path, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if entry.issym():
                links.append((entry.name, entry.linkname, path))
                continue
            content = entries.extractfile(entry) if entry.isreg() and not entry.issparse() else None
            if content is None:
                raise ValueError(f"{entry.name!r} is neither a file nor a folder nor a symbolic link")
            try:
                # O_EXCL: never through an existing file. No more permissions than a program needs.
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755 if entry.mode & 0o100 else 0o644)
            except (FileExistsError, IsADirectoryError):
                raise ValueError(f"{entry.name!r} is there twice") from None
            with os.fdopen(descriptor, "wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
            modified = min(max(0, entry.mtime), 1 << 33)
            os.utime(path, (modified, modified))
    # Links come last, so that nothing is written through one.
    for name, target, path in links:
        if os.path.lexists(path):
            raise ValueError(f"{name!r} is there twice")
        os.symlink(target, path)


def unpack(archive: str, sha256: str, destination: str) -> dict[str, Any]:
    """Unpack once, atomically; a destination that exists was unpacked completely before."""
    destination = os.path.expanduser(destination)
    if os.path.isdir(destination):
        return {"state": "done"}
    archive = os.path.expanduser(archive)
    # Another delivery of the same call may unpack and delete the archive at any moment.
    wait_for_upload(archive, sha256, lambda: os.path.isdir(destination))
    if os.path.isdir(destination):
        return {"state": "done"}
    import shutil
    import tempfile

    os.makedirs(os.path.dirname(destination), exist_ok=True)
    temporary = tempfile.mkdtemp(prefix=".unpack-", dir=os.path.dirname(destination))
    try:
        unpack_tar(archive, temporary)
        try:
            os.rename(temporary, destination)
        except OSError:
            if not os.path.isdir(destination):
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return {"state": "done"}


def prune(newest: str) -> None:
    """Delete code that was not used for long, except for the last few versions; `newest` counts as used now."""
    import shutil

    folder = os.path.dirname(newest)
    os.utime(newest)
    paths = [os.path.join(folder, name) for name in os.listdir(folder)]
    used = sorted(((os.path.getmtime(path), path) for path in paths if os.path.isdir(path)), reverse=True)
    for moment, path in used[KEPT_CODES:]:
        if time.time() - moment > KEPT_CODE_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def leave(run: str, owes: bool) -> dict[str, Any]:
    """Remove a run from a studio that others may use; if it owes the stop, the runs that stay inherit that."""
    operation_folder(run)
    os.makedirs(OPERATIONS, mode=0o700, exist_ok=True)
    note = os.path.join(OPERATIONS, ".heirs")
    with open(note + ".lock", "w") as lock:
        # Under a lock, one of two runs that leave at once finds the other, or is the last.
        fcntl.flock(lock, fcntl.LOCK_EX)
        forgotten = forget(run + ".")
        forget_outputs(run + ".")
        others = other_runs(run)
        owes = owes or run in (read_json(note) or {}).get("runs", [])
        if owes and others:
            write_json(note, {"runs": others})
        elif owes and os.path.exists(note):
            os.unlink(note)
    return {"others": others, "stop": owes and not others, "forgotten": forgotten}


def other_runs(run: str) -> list[str]:
    names = os.listdir(OPERATIONS) if os.path.isdir(OPERATIONS) else []
    folders = {name: os.path.join(OPERATIONS, name) for name in names}
    running = {name.split(".")[0] for name, path in folders.items() if state_of(path) == "running"}
    return sorted(running - {run})


def forget(prefix: str) -> int:
    import shutil

    names = os.listdir(OPERATIONS) if os.path.isdir(OPERATIONS) else []
    mine = [name for name in names if name.startswith(prefix)]
    for name in mine:
        path = os.path.join(OPERATIONS, name)
        if os.path.islink(path):
            # A link is not ours, so it is removed without being followed.
            os.unlink(path)
        elif os.path.isdir(path):
            stop(name, 1)
    deadline = time.monotonic() + 5
    for name in mine:
        path = os.path.join(OPERATIONS, name)
        while os.path.isdir(path) and state_of(path) == "running" and time.monotonic() < deadline:
            time.sleep(0.02)
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        elif os.path.lexists(path):
            os.unlink(path)
    return len(mine)


def forget_outputs(prefix: str) -> None:
    import shutil

    for name in os.listdir(OUTPUTS) if os.path.isdir(OUTPUTS) else []:
        if name.startswith(prefix):
            shutil.rmtree(os.path.join(OUTPUTS, name), ignore_errors=True)


def find_interpreter() -> dict[str, Any]:
    """Return the first interpreter of this machine's environment that answers; if none does, the problem."""
    import shutil

    folders = [os.environ[name] + "/bin" for name in ("VIRTUAL_ENV", "CONDA_PREFIX") if os.environ.get(name)]
    candidates = [os.path.join(folder, "python") for folder in (*folders, *CONDA_FOLDERS)]
    candidates += filter(None, (shutil.which("python"), shutil.which("python3")))
    problems = []
    for candidate in dict.fromkeys(filter(os.path.exists, candidates)):
        answer = ask_interpreter(candidate)
        if isinstance(answer, dict):
            return dict(answer, bin=os.path.dirname(answer["executable"]))
        problems.append("%s: %s" % (candidate, answer))
    return {"problem": "; ".join(problems) or "there is no python, neither on PATH nor in a conda environment"}


def ask_interpreter(candidate: str) -> dict[str, str] | str:
    """Return an interpreter's path and version, or the reason why it gave none.

    Raises SystemExit if the machine is not ready: another interpreter that answers meanwhile is not the machine's.
    """
    import subprocess

    try:
        # -I and -S: the user's variables and an environment's start-up imports must not change the answer.
        result = subprocess.run(
            [candidate, "-I", "-S", "-c", QUESTION],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=QUESTION_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SystemExit("this machine is not ready: %s does not answer" % candidate) from None
    except OSError as error:
        return error.strerror or str(error)
    output = result.stdout.decode(errors="replace")
    text = (output + result.stderr.decode(errors="replace")).strip()[-300:]
    try:
        # A wrapper may print lines before the answer.
        answer = parse(output.splitlines()[-1]) if result.returncode == 0 else None
    except (ValueError, IndexError):
        answer = None
    if isinstance(answer, dict) and is_interpreter(answer):
        return answer
    if NOT_READY in text or (result.returncode == 0 and text):
        raise SystemExit("this machine is not ready: %s answers %r" % (candidate, text))
    return "exit code %d: %s" % (result.returncode, text)


def is_interpreter(answer: dict[str, Any]) -> bool:
    executable, version = answer.get("executable"), answer.get("version")
    return (
        isinstance(executable, str)
        and os.path.isabs(executable)
        and isinstance(version, str)
        and re.match(r"\d+\.\d+\.\d+\Z", version) is not None
    )


def seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < FOR_EVER:
        raise ValueError(text)
    return value


def main() -> None:  # noqa: PLR0912, PLR0915  one line for each argument of each call
    if sys.argv[1:2] == ["job"]:
        # Parsed by hand, and ended by `_exit`: argparse and the interpreter's clean-up would delay every job.
        options = dict(zip(sys.argv[3::2], sys.argv[4::2]))  # noqa: B905  Python 3.8 has no strict=
        code = run_as_job(sys.argv[2], options["--spec-sha256"], options.get("--job-name"), options.get("--step"))
        sys.stdout.flush()
        os._exit(code)
    import argparse
    import contextlib

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("start", "poll"):
        command = commands.add_parser(name)
        command.add_argument("operation")
        command.add_argument("--wait", type=seconds, default=0.0)
        command.add_argument("--offset", type=int, default=0)
        if name == "start":
            command.add_argument("--spec-sha256", required=True)
    command = commands.add_parser("exchange")
    command.add_argument("request", type=parse)
    command.add_argument("--wait", type=seconds, default=0.0)
    command = commands.add_parser("stop")
    command.add_argument("operations", nargs="+")
    command.add_argument("--grace", type=seconds, default=10.0)
    command = commands.add_parser("unpack")
    command.add_argument("archive")
    command.add_argument("sha256")
    command.add_argument("destination")
    command.add_argument("--only-if-there", action="store_true")
    command = commands.add_parser("forget")
    command.add_argument("operation")
    command = commands.add_parser("leave")
    command.add_argument("run")
    command.add_argument("--owes", action="store_true")
    command.add_argument("--stay", action="store_true")
    command = commands.add_parser("budget")
    command.add_argument("run")
    command.add_argument("seconds", type=seconds)
    command.add_argument("--stop-studio", action="store_true")
    commands.add_parser("python")
    command = commands.add_parser("outputs")
    command.add_argument("wish", type=parse)
    arguments = parser.parse_args()
    if arguments.command == "start":
        start(arguments.operation, arguments.spec_sha256, [arguments.operation], together=False)
    if arguments.command in ("start", "poll"):
        offsets = check_offsets({arguments.operation: arguments.offset})
        answer = poll(offsets, arguments.wait)[arguments.operation]
    elif arguments.command == "exchange":
        answer = exchange(arguments.request, arguments.wait)
    elif arguments.command == "stop":
        answer = {"answers": {operation: stop(operation, arguments.grace) for operation in arguments.operations}}
    elif arguments.command == "unpack":
        if arguments.only_if_there and not os.path.isdir(os.path.expanduser(arguments.destination)):
            print(json.dumps({"state": "missing"}))
            return
        answer = unpack(arguments.archive, arguments.sha256, arguments.destination)
        prune(os.path.expanduser(arguments.destination))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.expanduser(arguments.archive))
    elif arguments.command == "python":
        answer = find_interpreter()
    elif arguments.command == "budget":
        answer = give_budget(arguments.run, arguments.seconds, arguments.stop_studio)
    elif arguments.command == "outputs":
        answer = pack_left_outputs(arguments.wish)
    elif arguments.command == "forget":
        operation_folder(arguments.operation)
        answer = {"forgotten": forget(arguments.operation)}
    else:
        answer = {"others": other_runs(arguments.run)} if arguments.stay else leave(arguments.run, arguments.owes)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
