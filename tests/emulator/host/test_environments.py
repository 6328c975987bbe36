import zipfile
from pathlib import Path
from typing import Any

import pytest


def wheel(folder: Path, name: str, version: str) -> None:
    """Write a wheel with one module that has its version as an attribute."""
    information = f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        f"{name.replace('-', '_')}.py": f"version = {version!r}\n",
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{information}/RECORD"
    with zipfile.ZipFile(folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        archive.writestr(record, "".join(f"{path},,\n" for path in [*files, record]))


@pytest.fixture
def wheels(tmp_path: Path) -> str:
    wheel(tmp_path, "tiny-local-package", "1.0")
    wheel(tmp_path, "iniconfig", "99.0")
    wheel(tmp_path, "lightning-native", "99.0")
    return str(tmp_path)


def test_the_hosts_packages_are_seen_and_satisfy_installers_offline(studio: Any) -> None:
    assert studio.run("python -c 'import pytest, lightning_native; print(1)'") == "1"
    output = studio.run("uv pip install --offline --no-index pytest 'starlette>=1' lightning-native")
    assert "Checked 3 packages" in output
    assert "Requirement already satisfied: iniconfig" in studio.run("pip install --no-index iniconfig")


def test_a_studio_installs_into_itself_only(studio: Any, sdk: Any, wheels: str) -> None:
    studio.run(f"uv pip install --no-index --find-links {wheels} tiny-local-package")
    assert studio.run("python -c 'import tiny_local_package as t; print(t.version)'") == "1.0"
    other = sdk.Studio("another-environment")
    other.start()
    assert other.run_with_exit_code("python -c 'import tiny_local_package'")[1] == 1
    other.delete()
    with pytest.raises(ModuleNotFoundError):
        __import__("tiny_local_package")


@pytest.mark.parametrize("installer", ["uv pip", "pip"])
@pytest.mark.parametrize("name", ["iniconfig", "lightning-native"])
def test_another_version_than_the_hosts_wins_in_the_studio(studio: Any, wheels: str, installer: str, name: str) -> None:
    module = name.replace("-", "_")
    studio.run(f"{installer} install --no-index --find-links {wheels} {name}==99.0")
    assert studio.run(f"python -c 'import {module} as m; print(m.version)'") == "99.0"
    listed = studio.run("uv pip list --format freeze")
    assert listed.count(f"{name}==") == 1
    assert f"{name}==99.0" in listed
    host = __import__(module)
    assert getattr(host, "version", None) != "99.0"


def test_packages_stay_when_the_studio_is_stopped(studio: Any, wheels: str) -> None:
    studio.run(f"uv pip install --no-index --find-links {wheels} tiny-local-package")
    studio.stop()
    studio.start()
    assert studio.run("python -c 'import tiny_local_package as t; print(t.version)'") == "1.0"


def test_commands_of_the_hosts_packages_run_in_the_studios_environment(studio: Any) -> None:
    environment = studio.run("python -c 'import sys; print(sys.prefix)'")
    assert studio.run("command -v pytest") == f"{environment}/bin/pytest"
    assert studio.run("pytest --version").startswith("pytest")
    assert studio.run("head -1 $(command -v python >/dev/null; command -v pip)") == "#!/bin/sh"
