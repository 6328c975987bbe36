"""The checks that the local cloud does not pass yet with the profile `platform`; the only list of them."""

PENDING: frozenset[str] = frozenset()
# These cannot be checked on a local cloud whose machines are this computer.
UNSEEN: frozenset[str] = frozenset(
    {
        "studio-has-python-3-12",
        "python-is-in-the-cloudspace-environment",
        "venv-is-refused",
        "conda-create-is-refused",
        "uv-run-fails",
        "preinstalled-numpy-is-1",
        "sudo-asks-nothing",
        "tmp-is-gone-on-another-machine",
        "storage-root-is-not-writable",
    }
)
