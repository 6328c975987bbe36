"""The agent answers any request with one line of JSON or one error, and touches nothing but its own files.

FUZZ_SECONDS is the time for which the agent receives requests; without it, the test sends a few.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightning_native import agent

SERVER = Path(__file__).parents[1] / "support" / "servers" / "agent_server.py"
COMMANDS = [["true"], ["sh", "-c", "echo x"], ["sleep", "0.1"], ["/no such", "x"], ["sh", "-c", "exit 3"]]

texts = st.text(max_size=20)
ids = st.sampled_from(["one.a", "one.b", "two.a", "one", "one1.a"]) | st.one_of(
    texts,
    st.sampled_from(
        ["", ".", "..", "../x", "/etc", "a/b", "a\n", "link", "link.a", "x" * 300, "-f", "a\x00", "\ud800"]
    ),
)
numbers = st.integers(-5, 10**20) | st.floats() | st.booleans() | st.none() | texts
values = st.recursive(
    numbers | texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner), max_leaves=6
)
seconds = st.sampled_from(["0", "0.05"]) | st.sampled_from(["nan", "inf", "-1", "x", "", "1e400"])
offsets = st.dictionaries(ids, st.integers(0, 50) | numbers, max_size=3) | values


@st.composite
def specifications(draw: st.DrawFn) -> Any:
    """Draw a specification that is mostly correct."""
    right: dict[str, st.SearchStrategy[Any]] = {
        "argv": st.sampled_from(COMMANDS),
        "cwd": st.sampled_from(["", ".", "~"]) | texts,
        "env": st.dictionaries(texts, texts, max_size=2),
        "scratch": st.lists(texts, max_size=2),
        "timeout": st.none() | st.floats(0.05, 0.2),
        "word": texts,
        "pythonpath": st.lists(texts, max_size=2),
    }
    specification = {key: draw(value) for key, value in right.items() if key == "argv" or draw(st.booleans())}
    if draw(st.booleans()):
        specification[draw(st.sampled_from([*right, "retry", "unpack", "x"]))] = draw(values)
    # One value of ten is any JSON instead of a specification.
    return specification if draw(st.integers(0, 9)) else draw(values)


files = st.one_of(
    specifications().map(json.dumps),
    st.dictionaries(ids, specifications(), max_size=2).map(json.dumps),
    st.dictionaries(ids, specifications(), max_size=2).map(lambda steps: json.dumps({"steps": steps})),
    st.sampled_from(["", "{", "[" * 5000, "null", "1" * 5000]),
    texts,
)


class Uploaded:
    """A file beside the operations that a call names, with its own SHA-256 or a wrong one."""

    def __init__(self, name: str, content: str, *, intact: bool) -> None:
        self.name = name
        self.content = content.encode(errors="replace")
        self.sha256 = hashlib.sha256(self.content).hexdigest() if intact else "0"


uploads = st.builds(Uploaded, st.sampled_from(["one.a", "two.a", "file", "link"]), files, intact=st.booleans())


@st.composite
def calls(draw: st.DrawFn) -> tuple[list[str], Uploaded | None]:
    verb = draw(st.sampled_from(["start", "poll", "exchange", "exchange", "stop", "leave", "unpack", "nonsense"]))
    upload = draw(uploads) if verb in ("start", "exchange") else None
    arguments: list[str] = [verb]
    if verb in ("start", "poll"):
        arguments += [draw(ids), "--wait", draw(seconds), "--offset", str(draw(numbers))]
    if verb == "start" and upload is not None:
        arguments += ["--spec-sha256", upload.sha256]
    if verb == "exchange" and upload is not None:
        start = {"file": draw(st.just(upload.name) | ids), "sha256": upload.sha256, "operations": draw(offsets)}
        request = {"poll": draw(offsets), "start": start if draw(st.booleans()) else draw(values)}
        text = json.dumps(request if draw(st.integers(0, 9)) else draw(values))
        arguments += [draw(st.just(text) | texts | st.just("[" * 5000)), "--wait", draw(seconds)]
    if verb == "stop":
        arguments += [*draw(st.lists(ids, max_size=3)), "--grace", draw(seconds)]
    if verb == "leave":
        arguments += [draw(ids), *draw(st.lists(st.sampled_from(["--owes", "--stay"])))]
    if verb == "unpack":
        arguments += [draw(texts), "0", draw(st.sampled_from(["outside", "./outside"])), "--only-if-there"]
    # No system passes NUL or surrogates to a program.
    return [argument.replace("\0", "").encode(errors="ignore").decode() for argument in arguments], upload


class Studio:
    """A studio's home with the agent, and files beside it that do not belong to the agent."""

    def __init__(self, home: Path) -> None:
        self.home = home / ".lightning-native"
        self.home.mkdir()
        shutil.copy(agent.__file__, self.home / "agent.py")
        self.outside = home / "outside"
        self.outside.mkdir()
        (self.outside / "mine").write_text("mine")
        (self.outside / "mine.json").write_text("{}")
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(SERVER), str(self.home / "agent.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(home)},
        )

    def renew(self) -> None:
        shutil.rmtree(self.home / "ops", ignore_errors=True)
        (self.home / "ops").mkdir(exist_ok=True)
        (self.home / "ops" / "link").symlink_to(self.outside)
        (self.home / "ops" / "link.json").symlink_to(self.outside / "mine.json")
        (self.home / "ops" / "link.a").symlink_to(self.outside / "mine")

    def call(self, arguments: list[str]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def check_outside(self) -> None:
        assert sorted(path.name for path in self.home.parent.iterdir()) == [".lightning-native", "outside"]
        assert sorted(path.name for path in self.home.iterdir() if path.name != "__pycache__") == ["agent.py", "ops"]
        assert {path.name: path.read_text() for path in self.outside.iterdir()} == {"mine": "mine", "mine.json": "{}"}

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


@contextmanager
def a_studio(home: Path) -> Iterator[Studio]:
    studio = Studio(home)
    try:
        yield studio
    finally:
        studio.close()


def test_whatever_is_asked_gets_an_answer_or_an_error_and_touches_nothing_else(tmp_path: Path) -> None:
    until = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "0"))
    with a_studio(tmp_path) as studio:

        @settings(deadline=None, max_examples=40, database=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(calls(), min_size=1, max_size=6))
        def ask(asked: list[tuple[list[str], Uploaded | None]]) -> None:
            studio.renew()
            for arguments, upload in asked:
                path = studio.home / "ops" / f"{upload.name}.json" if upload else None
                if upload and path and not path.is_symlink():
                    path.write_bytes(upload.content)
                check(studio.call(arguments))
            studio.check_outside()

        while True:
            ask()
            if time.monotonic() >= until:
                break


def check(answer: dict[str, Any]) -> None:
    """Check that an answer is one line of JSON, or one error that names the problem."""
    assert answer["code"] >= 0, answer["problem"]
    if answer["code"] == 0:
        (line,) = answer["output"].splitlines()
        assert isinstance(json.loads(line), dict)
    else:
        assert answer["output"] == ""
        # Exit code 2 is argparse's, which prints its own message.
        assert answer["code"] == 2 or len(answer["problem"].splitlines()) == 1
