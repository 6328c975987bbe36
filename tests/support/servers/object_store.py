"""A store with the protocol of S3, as the artifact store that machines elsewhere can reach."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3

BUCKET = "zenml"
# Any values, because the server accepts all.
KEY, SECRET = "a-key", "a-secret-of-nothing"
_START_SECONDS = 240.0


@contextmanager
def serve_object_store(address: str, folder: Path) -> Iterator[str]:
    """Run a server with one bucket, and yield its URL."""
    log = folder / "object-store.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "--host", address, "--port", "0"],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = _url(process, log)
        client = boto3.client(
            "s3", endpoint_url=url, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1"
        )
        client.create_bucket(Bucket=BUCKET)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _url(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        if found := re.search(r"Running on (http://\S+)", log.read_text()):
            return found[1]
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
