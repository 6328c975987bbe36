"""Logs of jobs: in pages, as a file, and followed through a WebSocket."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from lightning_native.emulator.api import address_of, cloud_of, number_in, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.endpoints.jobs.single_machine import job_of
from lightning_native.emulator.host.log_file import POLL_SECONDS, Line, read_lines
from lightning_native.emulator.services.jobs.job_runner import runner_of
from lightning_native.emulator.services.jobs.states import is_final
from lightning_native.emulator.services.signatures import sign, verify
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Job

_PAGE = 1000
_MAX_PLACE = 2**53
_SEVERITIES = ("debug", "info", "warning", "error")


def _selected(cloud: Cloud, teamspace_id: str, query: QueryParams) -> list[Job]:
    """Return the jobs whose logs a query asks for."""
    ids = [key for value in query.getlist("jobIds") for key in value.split(",") if key]
    several = query.get("mmtId")
    jobs = [
        job
        for job in cloud.jobs
        if job.teamspace_id == teamspace_id and (job.id in ids or (several and job.multi_machine_id == several))
    ]
    if not ids and not several:
        raise ApiError(400, "the local cloud has logs of jobs only: give `jobIds` or `mmtId`")
    if not jobs:
        raise ApiError(404, f"job {', '.join(ids) or several} not found")
    return jobs


def _filter(query: QueryParams) -> Callable[[Line], bool]:
    since, until = _moment(query.get("since")), _moment(query.get("until"))
    words = query.get("query", "").lower()
    severity = query.get("severity", "")
    if severity and severity not in _SEVERITIES:
        raise ApiError(400, f"{severity!r} is no severity; there are {', '.join(_SEVERITIES)}")

    def wanted(line: Line) -> bool:
        return (
            (since is None or line.time >= since)
            and (until is None or line.time <= until)
            and (not words or words in line.text.lower())
            and (not severity or line.severity == severity)
        )

    return wanted


def _moment(value: str | None) -> float | None:
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(value.strip().replace(" ", "+").replace("Z", "+00:00"))
    except ValueError:
        raise ApiError(400, f"{value!r} is no time; write it as 2026-11-21T13:10:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _entry(job: Job, line: Line) -> dict[str, Any]:
    return {
        "line": str(line.number),
        "message": line.text,
        "resourceId": job.id,
        "severity": line.severity,
        "timestamp": timestamp(line.time),
    }


class Cursor:
    """A place in the logs of several jobs."""

    def __init__(self, jobs: Sequence[Job], places: dict[str, list[int]] | None = None) -> None:
        self.jobs = jobs
        self.places = places or {}

    def read(self, cloud: Cloud, wanted: Callable[[Line], bool], limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the entries from here on and move past them."""
        count = 0
        for job in self.jobs:
            number, offset = self.places.get(job.id, [0, 0])
            runner = runner_of(cloud, job)
            if runner.log_is_late or not runner.output.exists():
                continue
            for line in read_lines(
                runner.output, cloud.clock, number=number, offset=offset, is_complete=runner.log_is_whole
            ):
                self.places[job.id] = [line.number + 1, line.offset]
                if wanted(line):
                    yield _entry(job, line)
                    count += 1
                    if count == limit:
                        return

    def is_done(self, cloud: Cloud) -> bool:
        """Whether the commands of all these jobs have ended."""
        return all(runner_of(cloud, job).log_is_whole for job in self.jobs)


def _places(text: str | None) -> dict[str, list[int]]:
    """Return places that an earlier answer named; 400 for anything else."""
    try:
        places = json.loads(text or "{}")
        whole = all(
            isinstance(part, int) and 0 <= part <= _MAX_PLACE
            for number, offset in places.values()
            for part in (number, offset)
        )
    except (AttributeError, RecursionError, TypeError, ValueError):
        whole = False
    if not whole:
        raise ApiError(400, "that is no place in a log that this server named")
    return dict(places)


async def _page(request: Request) -> Response:
    cloud, teamspace, query = cloud_of(request), teamspace_of(request), request.query_params
    jobs = _selected(cloud, teamspace.id, query)
    size = min(number_in(query, "pageSize", _PAGE) or _PAGE, _PAGE)
    done = all(is_final(job.state) for job in jobs)
    cursor = Cursor(jobs, _places(query.get("pageToken")))
    entries = list(cursor.read(cloud, _filter(query), size))
    token = json.dumps(cursor.places) if len(entries) == size else None
    follow = None
    if not done:
        kept = [(name, value) for name, value in query.multi_items() if name not in ("pageToken", "pageSize")]
        place = json.dumps(cursor.places)
        path = f"/v1/projects/{teamspace.id}/follow-logs"
        follow = f"{address_of(request).replace('http', 'ws', 1)}{path}?{urlencode([*kept, ('place', place)])}"
    return reply({"entries": entries, "nextPageToken": token, "followUrl": follow})


async def _send(websocket: WebSocket, cloud: Cloud, cursor: Cursor, wanted: Callable[[Line], bool]) -> None:
    """Send lines as they appear, until the jobs have ended or the reader has left."""
    left = asyncio.create_task(websocket.receive())
    ended = asyncio.gather(*(runner_of(cloud, job).log_ended.wait() for job in cursor.jobs))
    news: set[asyncio.Future[Any]] = {left, ended}
    try:
        while not left.done() and not cloud.closing.is_set():
            # Before the read: a log that is whole now is read to its end.
            done = cursor.is_done(cloud)
            while entries := list(cursor.read(cloud, wanted, _PAGE)):
                await websocket.send_text(json.dumps(entries))
            if done:
                break
            await asyncio.wait(news, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not left.done():
            await websocket.close()
    except WebSocketDisconnect:
        pass
    finally:
        left.cancel()
        ended.cancel()
        # Both are awaited, because asyncio warns about results that are never fetched.
        await asyncio.gather(left, ended, return_exceptions=True)


async def _follow(websocket: WebSocket) -> None:
    cloud: Cloud = websocket.app.state.cloud
    query = websocket.query_params
    try:
        jobs = _selected(cloud, websocket.path_params["project"], query)
        cursor, wanted = Cursor(jobs, _places(query.get("place"))), _filter(query)
    except ApiError:
        await websocket.close(1008)
        return
    await websocket.accept()
    await _send(websocket, cloud, cursor, wanted)


async def _stream(websocket: WebSocket) -> None:
    cloud: Cloud = websocket.app.state.cloud
    job = cloud.jobs.get(websocket.path_params["job"])
    if job is None:
        await websocket.close(1008)
        return
    try:
        tail = number_in(websocket.query_params, "tail", 0)
    except ApiError:
        await websocket.close(1008)
        return
    await websocket.accept()
    cursor = Cursor([job])
    entries = list(cursor.read(cloud, lambda _line: True))
    if tail:
        entries = entries[-tail:]
    for start in range(0, len(entries), _PAGE):
        await websocket.send_text(json.dumps(entries[start : start + _PAGE]))
    if websocket.query_params.get("follow") == "true":
        await _send(websocket, cloud, cursor, lambda _line: True)
    else:
        await websocket.close()


async def _download(request: Request) -> Response:
    cloud = cloud_of(request)
    jobs = [job for job in cloud.jobs if request.path_params["job"] in (job.id, job.multi_machine_id)]
    if not jobs:
        raise ApiError(404, f"job {request.path_params['job']} not found")
    late = [job for job in jobs if runner_of(cloud, job).log_is_late]
    if any(cloud.clock.now() < (job.stopped_at or 0.0) + cloud.settings.profile.log_seconds / 2 for job in late):
        # Later, there is a file that is still empty.
        raise ApiError(404, f"the logs of job {late[0].name} have not been uploaded yet")
    return reply({"url": f"{address_of(request)}/storage/logs/{sign(cloud, {'jobs': [job.id for job in jobs]})}"})


async def _pages(request: Request) -> Response:
    cloud, job = cloud_of(request), job_of(request)
    url = f"{address_of(request)}/storage/logs/{sign(cloud, {'jobs': [job.id]})}"
    return reply({"pages": [{"pageNumber": "0", "url": url}]})


async def _log_file(request: Request) -> Response:
    cloud = cloud_of(request)
    jobs = [cloud.jobs.get(key) for key in verify(cloud, request.path_params["token"])["jobs"]]
    cursor = Cursor([job for job in jobs if job is not None])
    if not cursor.jobs:
        return PlainTextResponse("the job was deleted", 404)
    entries = cursor.read(cloud, lambda _line: True)
    return StreamingResponse(
        (f"[{entry['timestamp']}] {entry['message']}\n" for entry in entries), media_type="text/plain"
    )


ROUTES: list[Route | WebSocketRoute] = [
    Route("/storage/logs/{token}", _log_file),
    Route("/v1/projects/{project}/page-logs", _page),
    Route("/v1/projects/{project}/jobs/{job}/page-logs", _pages),
    Route("/v1/projects/{project}/jobs/{job}/download-logs", _download),
    WebSocketRoute("/v1/projects/{project}/follow-logs", _follow),
    WebSocketRoute("/v1/projects/{project}/jobs/{job}/logs", _stream),
]
