"""The web page of the local cloud: studios, jobs and pipelines with costs, and logs that grow while they are read."""

import asyncio
import hmac
import secrets
from html import escape
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from lightning_native.emulator.api import cloud_of, content_of
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.services import studios
from lightning_native.emulator.services.commands import output_of
from lightning_native.emulator.services.jobs import billing
from lightning_native.emulator.services.jobs.job_runner import runner_of
from lightning_native.emulator.services.jobs.states import is_final
from lightning_native.emulator.services.signatures import signature
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Teamspace

COOKIE = "lightning_native_session"
_TAIL_BYTES = 200_000
_MAX_COMMANDS = 20
# A form is read before the key is known to be right.
_MAX_FORM_BYTES = 4096
_FORM_SECONDS = 10.0

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem 1.5rem; color: #1a1a1a }
h1 { font-size: 1.3rem } h2 { font-size: 1.1rem; margin: 1.5rem 0 .3rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .25rem .75rem .25rem 0 }
th { color: #555; font-weight: 500; border-bottom: 1px solid #ccc } td.number { font-variant-numeric: tabular-nums }
pre { background: #f4f4f4; padding: .75rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere }
a { color: #5b2fc9 } .muted { color: #666 }
@media (prefers-color-scheme: dark) {
  body { background: #161616; color: #e8e8e8 } pre { background: #222 } a { color: #b69cff }
}
"""
# Without JavaScript, the page is complete and grows when it is loaded again.
_REFRESH = """
setInterval(async () => {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  const old = document.querySelector("main");
  if (fresh && fresh.innerHTML !== old.innerHTML) old.replaceWith(fresh);
}, 1000);
"""
_LOGIN = """
<form method="post" action="/login"><p>The key is in the file <code>api_key</code> of the server's root.</p>
<p><label>Key <input type="password" name="key" autofocus required></label> <button>Enter</button></p></form>
"""


def session_of(cloud: Cloud) -> str:
    """Return the value of the cookie with which a browser may see the page, and nothing else."""
    return signature(cloud, "page")


def is_page(path: str) -> bool:
    """Whether a path is part of the page."""
    return path in ("/", "/login") or path.startswith("/page/")


def _html(title: str, body: str, *, status: int = 200, refresh: bool = True) -> Response:
    nonce = secrets.token_hex(8)
    script = f'<script nonce="{nonce}">{_REFRESH}</script>' if refresh else ""
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{nonce}'; connect-src 'self'"
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<body><main><h1>{escape(title)}</h1>{body}</main>{script}</body></html>"
    )
    headers = {
        "Content-Security-Policy": f"{policy}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        # With a stricter policy, a browser omits the origin of the form.
        "Referrer-Policy": "same-origin",
    }
    # A command or a name may have bytes that are not characters.
    return HTMLResponse(page.encode(errors="replace"), status, headers)


def login_form(*, status: int = 401) -> Response:
    """Return the page that asks for the key."""
    return _html("Local Lightning cloud", _LOGIN, status=status, refresh=False)


async def _login(request: Request) -> Response:
    cloud = cloud_of(request)
    try:
        content = await asyncio.wait_for(content_of(request, _MAX_FORM_BYTES), _FORM_SECONDS)
    except asyncio.TimeoutError as error:
        raise ApiError(408, "the key did not come in time") from error
    given = parse_qs(content.decode(errors="replace")).get("key", [""])[0].strip()
    if not hmac.compare_digest(given.encode(), cloud.api_key.encode()):
        return login_form()
    response = RedirectResponse("/", 303)
    response.set_cookie(COOKIE, session_of(cloud), httponly=True, samesite="strict")
    return response


def _table(heads: list[str], rows: list[list[str]], empty: str) -> str:
    if not rows:
        return f'<p class="muted">{empty}</p>'
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _money(dollars: float) -> str:
    return f"${dollars:.4f}"


def total_cost(cloud: Cloud) -> float:
    """Return the cost of all studios and jobs so far, in dollars."""
    several = sum(item.spent for item in cloud.multi_machine_jobs)
    return (
        sum(studios.cost(cloud, studio) for studio in cloud.studios)
        + sum(billing.cost(cloud, job) for job in cloud.jobs)
        + several
    )


def _teamspace(cloud: Cloud, teamspace: Teamspace) -> str:
    studio_rows = [
        [
            f'<a href="/page/studios/{studio.id}">{escape(studio.name)}</a>',
            escape(studios.phase_of(studio)),
            escape(studio.machine + (" (interruptible)" if studio.interruptible else "")),
            _money(studios.cost(cloud, studio)),
        ]
        for studio in cloud.studios
        if studio.teamspace_id == teamspace.id
    ]
    job_rows = [
        [
            f'<a id="{job.id}" href="/page/jobs/{job.id}">{escape(job.name)}</a>',
            escape(job.state),
            escape(job.machine),
            escape(timestamp(job.started_at) or ""),
            _money(billing.cost(cloud, job)),
        ]
        for job in cloud.jobs
        if job.teamspace_id == teamspace.id
    ]
    pipeline_rows = [
        [
            f'<span id="{pipeline.id}">{escape(pipeline.name)}</span>',
            escape(pipeline.state.lower()),
            escape(", ".join(f"{status['name']}: {status['state']}" for status in pipeline.statuses)),
        ]
        for pipeline in cloud.pipelines
        if pipeline.teamspace_id == teamspace.id
    ]
    parts = [
        f'<h2 id="{teamspace.id}">{escape(teamspace.name)}</h2>',
        _table(["Studio", "State", "Machine", "Cost"], studio_rows, "No studios."),
        _table(["Job", "State", "Machine", "Started", "Cost"], job_rows, "No jobs."),
    ]
    if pipeline_rows:
        parts.append(_table(["Pipeline", "State", "Steps"], pipeline_rows, ""))
    return "".join(parts)


async def _home(request: Request) -> Response:
    cloud = cloud_of(request)
    teamspaces = "".join(_teamspace(cloud, teamspace) for teamspace in cloud.teamspaces)
    now = escape((timestamp(cloud.clock.now()) or "")[:19].replace("T", " "))
    rate = f" · {cloud.clock.rate:g} simulated seconds in one" if cloud.clock.rate != 1 else ""
    summary = f'<p>Cost of all that is here: <b id="cost">{_money(total_cost(cloud))}</b> · {now} UTC{rate}</p>'
    return _html("Local Lightning cloud", summary + teamspaces)


def _tail(path_bytes: bytes) -> str:
    shown = path_bytes[-_TAIL_BYTES:]
    cut = '<p class="muted">The beginning is left out.</p>' if len(shown) < len(path_bytes) else ""
    return f"{cut}<pre>{escape(shown.decode(errors='replace'))}</pre>"


async def _job(request: Request) -> Response:
    cloud = cloud_of(request)
    job = cloud.jobs.get(request.path_params["key"])
    if job is None:
        raise ApiError(404, "job not found")
    output = runner_of(cloud, job).output
    message = f" · {escape(job.message)}" if job.message else ""
    state = f'<p><a href="/">All</a> · <b id="state">{escape(job.state)}</b>{message} · {escape(job.machine)} · attempt'
    cost = _money(billing.cost(cloud, job))
    log = _tail(output.read_bytes() if output.exists() else b"")
    running = not is_final(job.state)
    return _html(f"Job {job.name}", f"{state} {job.attempt} · {cost}</p>{log}", refresh=running)


async def _studio(request: Request) -> Response:
    cloud = cloud_of(request)
    studio = cloud.studios.get(request.path_params["key"])
    if studio is None:
        raise ApiError(404, "studio not found")
    state = f'<p><a href="/">All</a> · <b id="state">{escape(studios.phase_of(studio))}</b> · {escape(studio.machine)}'
    parts = [f"{state} · {_money(studios.cost(cloud, studio))}</p><h2>Last commands</h2>"]
    found = [command for command in cloud.commands if command.studio_id == studio.id][-_MAX_COMMANDS:]
    for command in reversed(found):
        text, output = output_of(cloud, command)
        result = "runs" if command.exit_code is None else f"exit code {command.exit_code}"
        parts.append(f"<p><code>{escape(text[:500])}</code> · {result}</p>{_tail(output)}")
    return _html(f"Studio {studio.name}", "".join(parts))


async def _cost(request: Request) -> Response:
    return JSONResponse({"cost": total_cost(cloud_of(request))})


ROUTES = [
    Route("/", _home),
    Route("/login", _login, methods=["POST"]),
    Route("/page/jobs/{key}", _job),
    Route("/page/studios/{key}", _studio),
    Route("/emulator/cost", _cost),
]
