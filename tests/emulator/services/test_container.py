"""A server of a container's root user: without CAP_SYS_ADMIN, with user namespaces."""

import os
import shutil
import subprocess
import sys
import textwrap

import pytest

HOME = "/teamspace/studios/this_studio"
SCRIPT = """
import os

import psutil

from lightning_native.emulator import LocalCloud

with LocalCloud() as cloud:
    os.environ.update(cloud.environ)
    from lightning_sdk import Job, Studio

    studio = Studio("in-a-container")
    studio.start()
    print("studio:", studio.run("echo kept > file; cd ~; pwd; id -u; grep CapEff /proc/self/status").split())
    job = Job.run("job", machine="CPU", studio=studio, command="pwd; cat file; sleep 0.1")
    job.wait(interval=0.1)
    print("job:", str(job.logs).split())
    studio.run("setsid sleep 1000 > /dev/null 2>&1 & echo $! > pid")
    pid = int(studio.run("cat pid"))
    assert psutil.pid_exists(pid)
    studio.stop()
    # Where nobody reaps orphans, it stays as a zombie.
    left = psutil.Process(pid).status() if psutil.pid_exists(pid) else psutil.STATUS_ZOMBIE
    assert left == psutil.STATUS_ZOMBIE, left
    studio.start()
    print("again:", studio.run("cat file"))
    studio.delete()
"""


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can give up a capability")
def test_home_is_where_the_platform_has_it_without_cap_sys_admin() -> None:
    drop = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    # Without a user namespace either, the studio's home has another path, and there is nothing to test.
    if subprocess.run([*drop, "unshare", "--user", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this kernel does not let root without CAP_SYS_ADMIN have a user namespace")
    assert subprocess.run([*drop, "unshare", "--mount", "true"], check=False, capture_output=True).returncode
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LIGHTNING_")}
    argv = [*drop, sys.executable, "-W", "ignore", "-c", textwrap.dedent(SCRIPT)]
    result = subprocess.run(argv, env=environ, check=False, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"studio: ['{HOME}', '0', ")
    assert lines[1:] == [f"job: ['{HOME}', 'kept']", "again: kept"]
