"""Variables with which a client reaches a server on this computer although its user has a proxy."""

from collections.abc import Mapping

# As `requests`, `urllib`, `websocket-client`, curl and Go spell them: some read the one case first, some the other.
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_EXCEPTIONS = ("no_proxy", "NO_PROXY")
_LOOPBACK = ("127.0.0.1", "localhost")


def without_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what an environment lacks so that no proxy is asked for this computer; nothing if it names no proxy.

    A proxy elsewhere cannot reach our loopback address. Every other host keeps the user's choice.
    """
    if not any(environ.get(name) for name in PROXIES):
        return {}
    given = next((environ[name] for name in _EXCEPTIONS if environ.get(name)), "")
    return {name: _with_loopback(environ.get(name) or given) for name in _EXCEPTIONS}


def _with_loopback(exceptions: str) -> str:
    hosts = [host for host in (host.strip() for host in exceptions.split(",")) if host]
    # A star alone stands for all hosts, and for nothing beside others.
    return exceptions if hosts == ["*"] else ",".join([*hosts, *(host for host in _LOOPBACK if host not in hosts)])
