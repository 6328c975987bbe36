"""A package index, with Git repositories, that needs an account."""

import base64
import http.server
import io
import subprocess
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4


def wheel(name: str) -> bytes:
    buffer = io.BytesIO()
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    kind = "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {f"{name}/__init__.py": "", f"{name}-1.0.dist-info/METADATA": about, f"{name}-1.0.dist-info/WHEEL": kind}
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        record = "".join(f"{path},,\n" for path in [*files, f"{name}-1.0.dist-info/RECORD"])
        archive.writestr(f"{name}-1.0.dist-info/RECORD", record)
    return buffer.getvalue()


class Index:
    """A package index, files and Git repositories on loopback that need an account."""

    def __init__(self, folder: Path, password: str | None = None) -> None:
        self.folder = folder
        # The password has a blank, quotes and characters that are special in URLs, shells and netrc files.
        self.password = password or f"p%s/ @'\"#{uuid4().hex}"
        self.refused = 0
        self._account = base64.b64encode(f"me:{self.password}".encode()).decode()
        index = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

            def send_head(self) -> io.BytesIO | None:  # type: ignore[override]
                if self.headers.get("Authorization") != f"Basic {index._account}":
                    index.refused += 1
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="packages"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return None
                return super().send_head()  # type: ignore[return-value]

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(self, name: str) -> None:
        page = self.folder / "simple" / name.replace("_", "-")
        page.mkdir(parents=True)
        (page / "index.html").write_text(
            f'<a href="../../files/{name}-1.0-py3-none-any.whl">{name}-1.0-py3-none-any.whl</a>'
        )
        (self.folder / "files").mkdir(exist_ok=True)
        (self.folder / "files" / f"{name}-1.0-py3-none-any.whl").write_bytes(wheel(name))

    def add_repository(self, name: str, files: Mapping[str, str] | None = None) -> None:
        """Create a Git repository with a package and these files, which is served as files."""
        work = self.folder / "work"
        (work / name).mkdir(parents=True)
        (work / name / "__init__.py").touch()
        for path, text in (files or {}).items():
            (work / path).write_text(text)
        (work / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "build"\nbackend-path = ["."]\n'
        )
        (work / "build.py").write_text(
            "import shutil\n\n"
            "def build_wheel(folder, *_, **__):\n"
            f"    name = '{name}-1.0-py3-none-any.whl'\n"
            "    shutil.copy(name, folder)\n"
            "    return name\n"
        )
        (work / f"{name}-1.0-py3-none-any.whl").write_bytes(wheel(name))
        git = ["git", "-c", "user.name=x", "-c", "user.email=x", "-c", "init.defaultBranch=main"]
        for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
            subprocess.run([*git, *arguments], cwd=work, check=True)
        bare = self.folder / f"{name}.git"
        subprocess.run([*git, "clone", "-q", "--bare", str(work), str(bare)], check=True)
        subprocess.run([*git, "update-server-info"], cwd=bare, check=True)
