"""Variables with which a client reaches a server on this computer although its user has a proxy."""

from collections.abc import Mapping

# The spellings of `requests`, `urllib`, `websocket-client`, curl and Go: some prefer one case, some the other.
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_EXCEPTIONS = ("no_proxy", "NO_PROXY")
_LOOPBACK = ("127.0.0.1", "localhost")


def without_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that keep proxies out of connections to this computer; none without a proxy.

    A proxy elsewhere cannot reach our loopback address. Every other host keeps the user's choice.
    """
    if not any(environ.get(name) for name in PROXIES):
        return {}
    given = next((environ[name] for name in _EXCEPTIONS if environ.get(name)), "")
    return {name: _with_loopback(environ.get(name) or given) for name in _EXCEPTIONS}


def _with_loopback(exceptions: str) -> str:
    hosts = [host for host in (host.strip() for host in exceptions.split(",")) if host]
    # A star means all hosts when it is alone, and nothing beside other hosts.
    return exceptions if hosts == ["*"] else ",".join([*hosts, *(host for host in _LOOPBACK if host not in hosts)])
