"""Machines in strict mode know nothing about this computer: observed by commands and jobs in them."""

import contextlib
import http.client
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.support.servers.host_address import host_address
from tests.support.servers.strict_cloud import StrictCloud

from lightning_native.emulator import LocalCloud
from lightning_native.emulator.strict.environment import find_interpreter
from lightning_native.errors import EmulatorError
from lightning_native.lightning.local import attach, default_root

HOME = "/teamspace/studios/this_studio"
PREFIX = "/system/conda/miniconda3/envs/cloudspace"
ONE = "A Studio has a default conda environment\n(max 1 environment). Start a new Studio to create a new environment."


def strict(root: Path, *, index: bool = False, python: str | None = None) -> LocalCloud:
    """A cloud that starts fast and uses no package index unless the caller wants one."""
    return LocalCloud(root, strict=True, index=index, preinstalled=(), python=python)


@contextlib.contextmanager
def listening(address: str) -> Iterator[int]:
    """A server of this computer that answers everything, and its port."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer((address, 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictCloud]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBMITTERS_OWN", "a value of the submitter")
        try:
            with strict(tmp_path_factory.mktemp("strict")) as running:
                yield StrictCloud(running)
        except EmulatorError as error:
            if "machines cannot be" not in str(error):
                raise
            pytest.skip(str(error))


@pytest.fixture(scope="module")
def studio(cloud: StrictCloud) -> str:
    return cloud.studio()


def test_the_user_and_the_folders_are_the_platforms(cloud: StrictCloud, studio: str) -> None:
    assert cloud.output(studio, "id -un; echo ~ $HOME; pwd; echo $USER $SHELL; umask; hostname").split() == [
        *("zeus", HOME, HOME, HOME, "zeus", "/bin/bash", "0022", "studio"),
    ]
    assert cloud.output(
        studio, "echo new > ~/new; cat /home/zeus/content/new; stat -c %U ~/new ~ ~/.lightning_studio"
    ).split() == [
        *("new", "zeus", "zeus", "zeus"),
    ]
    code, answer = cloud.run(studio, "touch /teamspace/jobs/x")
    assert code == 1
    assert "Read-only file system" in answer
    assert cloud.output(studio, "touch /cache/x /tmp/x /teamspace/uploads/x; ls -d /teamspace/*/").split() == [
        f"/teamspace/{name}/"
        for name in (
            *("artifacts", "datasets", "efs_connections", "efs_folders", "filestore_folders", "gcs_connections"),
            *(
                "gcs_folders",
                "jobs",
                "lightning_storage",
                "s3_connections",
                "s3_folders",
                "scratch",
                "studios",
                "uploads",
            ),
        )
    ]
    assert cloud.run(studio, "touch /usr/bin/x /etc/x /x")[0] == 1


def test_nothing_of_this_computer_is_seen(cloud: StrictCloud, studio: str, tmp_path: Path) -> None:
    (tmp_path / "submitted").write_text("here")
    seen = [cloud.cloud.root, tmp_path, Path.cwd(), Path(sys.prefix), Path(__file__), Path.home(), "/root", "/work"]
    missing = "; ".join(f"test -e '{path}' && echo '{path}'" for path in seen)
    assert cloud.output(studio, f"{missing}; ls /usr/local/bin /usr/local/lib /srv /mnt 2>/dev/null; true") == (
        "/usr/local/bin:\n\n/usr/local/lib:"
    )
    variables = cloud.output(studio, "env")
    assert "SUBMITTERS_OWN" not in variables
    for text in (str(cloud.cloud.root), sys.prefix, "VIRTUAL_ENV", "LIGHTNING_CLOUD_SPACE_NAME"):
        assert text not in variables
    assert cloud.run(studio, "python -c 'import lightning_native'")[0] == 1
    assert cloud.run(studio, "python -c 'import pytest'")[0] == 1
    processes = cloud.output(studio, "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'")
    assert "pytest" not in processes
    assert str(cloud.cloud.root) not in processes


def test_another_studio_is_seen_by_its_files_under_its_name_only(cloud: StrictCloud, studio: str) -> None:
    cloud.output(studio, "echo secret-of-one > ~/one; (exec -a sleeps-in-one sleep 600) >/dev/null 2>&1 &")
    other = cloud.studio()
    assert cloud.output(other, "ls ~") == ""
    name = cloud.of_project("GET", f"/cloudspaces/{studio}")["name"]
    assert {"this_studio", name} <= set(cloud.output(other, "ls /teamspace/studios").split())
    assert cloud.output(other, f"cat /teamspace/studios/{name}/one") == "secret-of-one"
    assert "sleeps-in-one" not in cloud.output(other, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "sleeps-in-one" in cloud.output(studio, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")


def test_the_environment_is_one_prefix_behind_wrappers(cloud: StrictCloud, studio: str) -> None:
    wanted = find_interpreter(None).version
    show = "import sys; print(sys.version.split()[0], sys.prefix, sys.base_prefix, sys.executable, *sys.path[1:])"
    version, *places = cloud.output(studio, f'python -c "{show}"').split()
    assert version == wanted
    assert [place for place in places if not place.startswith(PREFIX)] == []
    assert cloud.output(studio, "command -v python python3 pip uv").split() == [
        *("/commands/python", "/commands/python3", "/commands/pip", "/commands/uv"),
    ]
    # The platform has this name, too, whatever version it runs.
    assert cloud.output(studio, "/commands/python3.10 -V") == f"Python {wanted}"
    assert "/commands" not in cloud.output(studio, "env -i bash -c 'echo $PATH'")
    assert "/commands" not in cloud.run(studio, "env -i bash -c 'command -v pip'")[1]
    assert cloud.output(studio, "echo $PATH").split(":")[0] == "/commands"
    assert PREFIX not in cloud.output(studio, "echo $PATH")
    assert f"from {PREFIX}/lib/" in cloud.output(studio, "pip --version")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("python -m venv there", f"Error: Venv creation is not allowed. {ONE}"),
        ("python3 -I -m venv there", f"Error: Venv creation is not allowed. {ONE}"),
        ("virtualenv there", f"Error: Venv creation is not allowed. {ONE}"),
        ("conda create -n there python=3.10", f"Error: Conda create is not allowed. {ONE}"),
        ("conda create -p ~/there", f"Error: Conda create is not allowed. {ONE}"),
    ],
)
def test_another_environment_is_refused(cloud: StrictCloud, studio: str, command: str, words: str) -> None:
    assert cloud.run(studio, command) == (1, words)


def test_what_only_looks_like_a_refusal_runs(cloud: StrictCloud, studio: str) -> None:
    assert cloud.output(studio, "python -c 'import sys; print(sys.argv)' -m venv") == "['-c', '-m', 'venv']"
    # Only the wrapper refuses; the interpreter behind it does not.
    assert cloud.output(studio, f"{PREFIX}/bin/python -m venv --without-pip ~/there && ~/there/bin/python -V")


def test_uv_run_fails_for_want_of_a_folder(cloud: StrictCloud, studio: str) -> None:
    if cloud.run(studio, "uv --version")[0]:
        pytest.skip("this computer has no uv for machines without a package index")
    code, words = cloud.run(studio, "uv run python -V")
    assert code == 2
    assert "failed to symlink" in words
    assert "/system/conda/miniconda3/uv/venvs" in words
    assert cloud.output(studio, "unset UV_LIGHTNING_VIRTUALENV_ROOT; uv run --offline python -V").startswith(
        "Python 3."
    )


def test_packages_are_the_studios_own(cloud: StrictCloud, studio: str) -> None:
    package = "mkdir -p /tmp/p/own && cd /tmp/p && echo 'VALUE = 7' > own/__init__.py"
    site = f"{PREFIX}/lib/python3*/site-packages"
    cloud.output(studio, f"{package} && cp -r own {site}/ && python -c 'import own; assert own.VALUE == 7'")
    # The package greenlet, for example, creates such a folder.
    cloud.output(studio, f"cd {PREFIX}/include/python3* && mkdir own")
    other = cloud.studio()
    assert cloud.run(other, "python -c 'import own'")[0] == 1
    job = cloud.submit("python -c 'import own; print(own.VALUE)'", cloudspaceId=studio)
    assert cloud.log(job) == "7"
    # A file that is shared with other machines may be replaced, and never changed in place.
    code, words = cloud.run(other, f"echo 'broken' >> {site}/pip/__init__.py")
    assert code == 1
    assert "Permission denied" in words
    cloud.output(other, f"cd {site}/pip && sed -i 's/^__version__.*/__version__ = \"0\"/' __init__.py")
    assert cloud.output(other, "python -c 'import pip; print(pip.__version__)'") == "0"
    assert cloud.output(studio, "python -c 'import pip; print(pip.__version__)'") != "0"


def test_variables_are_the_platforms(cloud: StrictCloud, studio: str) -> None:
    names = (
        "LIGHTNING_CLOUDSPACE_HOST",
        "LIGHTNING_CLOUD_PROVIDER",
        "LIGHTNING_INTERACTIVE",
        "LIGHTNING_ARTIFACTS_DIR",
    )
    shown = "; ".join(f"echo {name}=${name}" for name in names)
    host = f"LIGHTNING_CLOUDSPACE_HOST={studio}.cloudspaces.localhost"
    assert cloud.output(studio, shown).splitlines() == [
        *(host, "LIGHTNING_CLOUD_PROVIDER=aws", "LIGHTNING_INTERACTIVE=true", "LIGHTNING_ARTIFACTS_DIR="),
    ]
    job = cloud.submit(shown, cloudspaceId=studio)
    assert cloud.log(job).splitlines() == [
        *(host, "LIGHTNING_CLOUD_PROVIDER=aws", "LIGHTNING_INTERACTIVE=", f"LIGHTNING_ARTIFACTS_DIR={HOME}"),
    ]


def test_a_job_is_such_a_machine_and_leaves_artifacts(cloud: StrictCloud, studio: str) -> None:
    cloud.output(studio, "echo from-the-studio > ~/input")
    script = (
        "id -un; pwd; cat input; python -c 'import sys; print(sys.prefix)'; test -e /root || echo none; echo 5 > out"
    )
    job = cloud.submit(script, cloudspaceId=studio)
    assert cloud.log(job).split() == ["zeus", HOME, "from-the-studio", PREFIX, "none"]
    name = cloud.wait(job)["name"]
    assert cloud.output(studio, f"cat /teamspace/jobs/{name}/out") == "5"
    assert cloud.run(studio, "test -e ~/out")[0] == 1


def test_an_exit_code_and_streams_that_are_opened_again_arrive(cloud: StrictCloud, studio: str) -> None:
    assert cloud.run(studio, "echo one >> /dev/stdout; echo two >> /dev/stderr; exit 7") == (7, "one\ntwo")
    job = cloud.submit("echo one >> /dev/stderr; exit 9", cloudspaceId=studio)
    assert cloud.wait(job)["state"] == "failed"
    assert cloud.log(job) == "one"
    assert "exit code 9" in cloud.wait(job)["message"]


def test_a_job_from_an_image_has_no_environment_of_a_studio(cloud: StrictCloud) -> None:
    script = "pwd; id -un; test -e /commands || echo none; test -e /system || echo none; echo $LIGHTNING_API_KEY"
    job = cloud.submit(script, image="python:3.12", entrypoint="sh -c")
    assert cloud.log(job).split() == [HOME, "zeus", "none", "none"]


def test_a_folder_is_mounted_in_an_image_and_nowhere_else(cloud: StrictCloud) -> None:
    name = "strict-folder"
    cloud.of_project("POST", "/data-connections", {"name": name, "r2": {}})
    mapping = {"containerPath": "/tmp/strict-mounted", "connectionName": name}  # noqa: S108 - in the container
    script = "echo content > /tmp/strict-mounted/file; ls /tmp"
    job = cloud.submit(script, image="python:3.12", entrypoint="sh -c", pathMappings=[mapping])
    assert cloud.log(job) == "strict-mounted"
    assert not os.path.lexists("/tmp/strict-mounted")  # noqa: S108 - a link to nothing would be there, too
    found = list((cloud.cloud.root / "drives").glob(f"*/lightning_storage/{name}/file"))
    assert [path.read_text() for path in found] == ["content\n"]


def test_loopback_is_the_machines_own(cloud: StrictCloud, studio: str) -> None:
    if cloud.output(studio, "echo $LIGHTNING_CLOUD_URL").startswith("http://127."):
        pytest.skip("slirp4netns is not installed: machines share the network of this computer")
    reach = (
        "python - {} <<'END'\nimport socket, sys\nsocket.create_connection((sys.argv[1], int(sys.argv[2])), 20)\nEND"
    )
    with listening("127.0.0.1") as port:
        assert cloud.run(studio, reach.format(f"127.0.0.1 {port}"))[0] == 1
        assert cloud.run(studio, reach.format(f"10.0.2.2 {port}")) == (0, "")
    # The cloud's own port is reached in the same way.
    url = cloud.output(studio, "echo $LIGHTNING_CLOUD_URL")
    assert url == cloud.cloud.url.replace("127.0.0.1", "10.0.2.2")
    ask = """
import os, urllib.request
request = urllib.request.Request(os.environ["LIGHTNING_CLOUD_URL"] + "/v1/auth/user")
request.add_header("Authorization", "Bearer " + os.environ["LIGHTNING_API_KEY"])
print(urllib.request.urlopen(request).status)
"""
    assert cloud.output(studio, f"python - <<'END'\n{ask}\nEND") == "200"


def test_an_address_of_this_computer_is_reached_from_both(cloud: StrictCloud, studio: str) -> None:
    with host_address() as address, listening(address) as port:
        reach = f"import socket; socket.create_connection(('{address}', {port}), 300)"
        subprocess.run([sys.executable, "-c", reach], check=True)
        assert cloud.output(studio, f'python -c "{reach}"') == ""


def test_a_port_of_a_studio_is_reached_from_here(cloud: StrictCloud) -> None:
    studio = cloud.studio()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        body = {"name": "web", "ports": [str(port)], "cloudspace": {"cloudspaceId": studio}}
        opened = cloud.of_project("POST", "/endpoints", body)
        (url,) = opened["urls"]
        # Another process of this computer has that port.
        assert url != f"http://127.0.0.1:{port}"
        serve = f"cd /tmp && echo hello > file && python -m http.server {port} >/dev/null 2>&1 &"
        cloud.output(studio, serve)
        assert fetched(f"{url}/file") == b"hello\n"
        cloud.stop(studio)
        cloud.start(studio)
        cloud.output(studio, serve)
        assert fetched(f"{url}/file") == b"hello\n"
        cloud.of_project("DELETE", f"/endpoints/{opened['id']}")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)  # noqa: S310 - our own server


def fetched(url: str) -> bytes:
    """Return the content of an address as soon as it is available."""
    deadline = time.monotonic() + 300
    while True:
        try:
            with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own server
                content: bytes = answer.read()
                return content
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_only_a_strict_cloud_answers_to_its_name_in_machines(cloud: StrictCloud, lightning_cloud: LocalCloud) -> None:
    for running, status in ((lightning_cloud, 400), (cloud.cloud, 200)):
        connection = http.client.HTTPConnection(running.url.removeprefix("http://"))
        name = running.url.removeprefix("http://").replace("127.0.0.1", "10.0.2.2")
        key = f"Bearer {running.environ['LIGHTNING_API_KEY']}"
        connection.request("GET", "/v1/auth/user", headers={"Host": name, "Authorization": key})
        assert connection.getresponse().status == status
        connection.close()


def test_without_an_index_nothing_but_this_computer_is_reached(cloud: StrictCloud, studio: str) -> None:
    # An address for documentation, which belongs to no computer: no network gives an answer …
    reach = "import socket; socket.create_connection(('192.0.2.1', 80), 300)"
    code, words = cloud.run(studio, f'python -c "{reach}"')
    assert code == 1
    # … and the connection is refused at once, without a wait.
    assert "timed out" not in words
    assert cloud.run(studio, "getent hosts pypi.org")[0] == 2
    assert cloud.output(studio, "env | grep -E '^(PIP|UV)_(INDEX|DEFAULT_INDEX|FIND_LINKS)' || true") == ""


def test_machines_of_one_job_reach_each_other(cloud: StrictCloud, studio: str) -> None:
    script = """
import os, socket
address = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
if os.environ["NODE_RANK"] == "0":
    server = socket.create_server(address)
    print("rank 0 got", server.accept()[0].recv(99).decode())
else:
    while True:
        try:
            socket.create_connection(address).sendall(b"hello of " + os.environ["WORLD_SIZE"].encode())
            break
        except ConnectionRefusedError:
            pass
"""
    specification = {"command": f"python - <<'END'\n{script}\nEND", "instanceName": "lit-l4-2", "cloudspaceId": studio}
    body = {"name": "together", "machines": 2, "spec": specification}
    key = cloud.of_project("POST", "/multi-machine-jobs", body)["id"]
    found = [job for job in cloud.of_project("GET", "/jobs")["jobs"] if job["multiMachineJobId"] == key]
    assert len(found) == 2
    # The job has two machines with two devices each.
    assert sorted(cloud.log(job["id"]) for job in found) == ["", "rank 0 got hello of 4"]


def test_a_stop_takes_all_processes_and_what_was_outside_of_home(cloud: StrictCloud) -> None:
    studio = cloud.studio()
    cloud.output(studio, "env -i setsid sleep 4242.5 >/dev/null 2>&1 & touch /tmp/gone ~/stays")

    def alive() -> list[int]:
        found = psutil.process_iter(["cmdline", "status"])
        return [
            item.pid
            for item in found
            if (item.info["cmdline"] or [])[-1:] == ["4242.5"] and item.info["status"] != "zombie"
        ]

    assert len(alive()) == 1
    cloud.stop(studio)
    assert alive() == []
    cloud.start(studio)
    assert cloud.output(studio, "ls ~; ls /tmp") == "stays"


@pytest.mark.usefixtures("cloud")
def test_a_killed_server_finds_its_machines_again(tmp_path: Path) -> None:
    running = strict(tmp_path / "root")
    running.start()
    cloud = StrictCloud(running)
    studio = cloud.studio()
    cloud.output(studio, "touch /tmp/here; nohup sleep 600 >/dev/null 2>&1 & echo $! > ~/pid")
    job = cloud.submit("while [ ! -e /teamspace/go ]; do sleep 0.1; done; echo went on; exit 3", cloudspaceId=studio)
    while cloud.of_project("GET", f"/jobs/{job}")["state"] != "running":
        pass
    running.kill()
    running.start()
    cloud = StrictCloud(running)
    # The machine is the same one: it has its files outside of home, and its processes with the same ids.
    assert cloud.output(studio, "ls /tmp; kill -0 $(cat ~/pid) && echo alive").split() == ["here", "alive"]
    cloud.output(studio, "touch /teamspace/go")
    assert cloud.log(job) == "went on"
    assert "exit code 3" in cloud.wait(job)["message"]
    running.stop()
    assert left_of(tmp_path / "root") == []


def left_of(root: Path) -> list[str]:
    """Return the programs that run in a machine of a root, connect one or have a mount below the root."""
    found = []
    for process in psutil.process_iter(["name", "status"]):
        # A process that has ended has no mounts, and some processes end during this loop.
        with contextlib.suppress(OSError, psutil.Error):
            if process.info["status"] != psutil.STATUS_ZOMBIE:
                mounts = Path(f"/proc/{process.pid}/mountinfo").read_text()
                if str(root) in mounts or process.cwd().startswith(str(root)):
                    found.append(process.info["name"])
    return sorted(set(found))


@pytest.mark.usefixtures("cloud")
def test_nothing_is_left_when_the_cloud_has_ended(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with strict(root) as running:
        cloud = StrictCloud(running)
        studio = cloud.studio()
        cloud.output(studio, "setsid sleep 600 >/dev/null 2>&1 &")
        job = cloud.submit("sleep 600", cloudspaceId=studio)
        while cloud.of_project("GET", f"/jobs/{job}")["state"] != "running":
            pass
        assert {"init", "sleep", "slirp4netns"} <= set(left_of(root))
    assert left_of(root) == []
    assert not list((root / "machines").iterdir())


def test_why_a_cloud_did_not_start_is_told_without_a_root() -> None:
    with pytest.raises(EmulatorError, match=r"this computer has no Python 3\.99; install one"):
        LocalCloud(strict=True, python="3.99").start()


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("version", ["3.9", "3.13"])
def test_another_python_can_be_chosen(tmp_path: Path, version: str) -> None:
    try:
        python = find_interpreter(version)
    except EmulatorError:
        pytest.skip(f"this computer has no Python {version}")
    with strict(tmp_path / "root", python=version) as running:
        cloud = StrictCloud(running)
        studio = cloud.studio()
        assert cloud.output(studio, f"python -V; python{version} -V").splitlines() == [f"Python {python.version}"] * 2


def test_a_python_that_is_not_here_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match=r"this computer has no Python 3\.99; install one"):
        strict(tmp_path / "root", python="3.99").start()
    with pytest.raises(EmulatorError, match=r"'three' is no version of Python; give one such as 3\.12"):
        strict(tmp_path / "other", python="three").start()


@pytest.mark.usefixtures("cloud")
def test_a_root_is_of_one_mode(tmp_path: Path) -> None:
    with strict(tmp_path / "root") as running:
        StrictCloud(running).of_project("POST", "/cloudspaces", {"name": "one"})
    with pytest.raises(
        EmulatorError, match="has studios that were made with --strict; add it, or choose another --root"
    ):
        LocalCloud(tmp_path / "root").start()


@pytest.mark.usefixtures("cloud")
def test_the_shared_cloud_is_strict_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    plain = default_root()
    monkeypatch.setenv("LIGHTNING_NATIVE_STRICT", "1")
    monkeypatch.setenv("LIGHTNING_NATIVE_NO_INDEX", "1")
    monkeypatch.setenv("LIGHTNING_NATIVE_PREINSTALLED", "")
    assert default_root() != plain
    running = LocalCloud(default_root())
    with attach(default_root()) as environ:
        running.url, running.environ = environ["LIGHTNING_CLOUD_URL"], dict(environ)
        cloud = StrictCloud(running)
        assert cloud.output(cloud.studio(), "id -un") == "zeus"
    with LocalCloud(plain), pytest.raises(EmulatorError, match="runs already and is not strict"), attach(plain):
        pass


def test_where_no_machine_can_be_strict_none_is_made(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "lightning_native", "emulator", "--strict", "--preinstalled=", "--root", "root"]
    # The PATH has no program that enters namespaces.
    environ = {**os.environ, "PATH": str(tmp_path)}
    result = subprocess.run(
        [*argv, "--stop-with-stdin"], check=False, capture_output=True, text=True, cwd=tmp_path, env=environ
    )
    assert result.returncode == 1
    assert "error: machines cannot be made strict on this computer: nsenter is missing" in result.stderr
    assert "start without --strict" in result.stderr
    assert not (tmp_path / "root" / "server.json").exists()


@pytest.mark.parametrize("option", ["--python=3.12", "--no-index", "--preinstalled=six"])
def test_options_of_strict_machines_need_strict(tmp_path: Path, option: str) -> None:
    argv = [sys.executable, "-m", "lightning_native", "emulator", "--root", str(tmp_path / "root"), option]
    result = subprocess.run(argv, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr == f"error: {option.partition('=')[0]} is about strict machines\nhint: add --strict\n"
    assert not (tmp_path / "root").exists()
