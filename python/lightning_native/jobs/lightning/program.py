"""The driver as one file, and as part of a command."""

import base64
import io
import zipfile
from functools import cache
from importlib import resources

from lightning_native.jobs import driver

PROGRAM = "driver.pyz"
_PACKAGE = "lightning_native_driver"
_MAIN = f"import sys\n\nfrom {_PACKAGE}.run import main\n\nsys.exit(main())\n"
# The earliest time of a zip file, so that the bytes are the same at any time.
_TIME = (1980, 1, 1, 0, 0, 0)
# The empty entry of the path is the folder of the user's code, from which the driver must import nothing.
_UNPACK = (
    "import sys;sys.path[:]=filter(None,sys.path);import base64,os,runpy,tempfile;p="
    "os.path.join(tempfile.mkdtemp(),{name!r});sys.argv=[p];"
)
_RUN = "open(p,'wb').write(base64.b64decode({data!r}));runpy.run_path(p,run_name='__main__')"


@cache
def driver_program() -> bytes:
    """Return the driver as a zip file that Python runs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py", _TIME), _MAIN)
        for module in sorted(resources.files(driver).iterdir(), key=lambda module: module.name):
            if module.name.endswith(".py"):
                entry = zipfile.ZipInfo(f"{_PACKAGE}/{module.name}", _TIME)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, module.read_bytes())
    return buffer.getvalue()


def inline_program() -> str:
    """Return Python code that contains the driver and runs it, for machines to which nothing can be uploaded."""
    data = base64.b64encode(driver_program()).decode()
    return _UNPACK.format(name=PROGRAM) + _RUN.format(data=data)
