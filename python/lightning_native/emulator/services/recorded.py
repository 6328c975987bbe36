"""Records that the local cloud keeps and shows again: ports, assistants, connections of the drive."""

import re
from typing import Any

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Document
from lightning_native.emulator.state.store import new_id

_CREDENTIAL = re.compile(r"key|token|secret|passw|credential|auth(?!or)", re.IGNORECASE)


def without_credentials(content: Any) -> Any:
    """Return a value without its credentials, known by the names of fields, because nothing here uses them."""
    if isinstance(content, dict):
        return {key: without_credentials(value) for key, value in content.items() if not _CREDENTIAL.search(key)}
    if isinstance(content, list):
        return [without_credentials(item) for item in content]
    return content


def save(cloud: Cloud, kind: str, teamspace_id: str, content: dict[str, Any]) -> Document:
    """Create a record of a kind in a teamspace."""
    now = timestamp(cloud.clock.now())
    content = {**content, "createdAt": now, "updatedAt": now, "userId": cloud.user.id}
    return cloud.documents.save(Document(new_id(), kind, teamspace_id, content))


def find(cloud: Cloud, kind: str, key: str) -> Document:
    """Return the record of a kind and an id; 404 when there is none."""
    document = cloud.documents.get(key)
    if document is None or document.kind != kind:
        raise ApiError(404, f"{kind.replace('_', ' ')} {key} not found")
    return document


def of_teamspace(cloud: Cloud, kind: str, teamspace_id: str) -> list[Document]:
    """Return the records of a kind in a teamspace."""
    return [item for item in cloud.documents if item.kind == kind and item.teamspace_id == teamspace_id]


def to_api(document: Document) -> dict[str, Any]:
    """Return a record as the API shows it."""
    return {**document.content, "id": document.id, "projectId": document.teamspace_id}
