"""The translation of the SDK's errors: Lightning's own words, and the kinds that no repetition helps."""

import json

import pytest

from lightning_native.errors import (
    AccessRefusedError,
    CloudError,
    MachineRefusedError,
    OutOfFundsError,
    RateLimitedError,
    RefusedError,
    UnreachableError,
)
from lightning_native.lightning.errors import cloud_errors, is_gone

FUNDS = "insufficient balance to start the cloud space, top up and try again"


class ApiError(Exception):
    """An error with the shape of the SDK's."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(f"({status})\nReason: Bad Request")
        self.status = status
        self.body = body


def raised(error: BaseException, cause: BaseException | None = None) -> CloudError:
    # The SDK's retries raise an error of their own while they handle the cause.
    error.__context__ = cause
    with pytest.raises(CloudError) as info, cloud_errors("start studio 'x' on L4"):
        raise error
    return info.value


def answer(message: str, code: int = 9) -> bytes:
    return json.dumps({"code": code, "message": message, "details": []}).encode()


def test_the_words_of_a_refusal_reach_the_user() -> None:
    error = raised(ApiError(400, answer(FUNDS)))
    assert str(error) == f"cannot start studio 'x' on L4: {FUNDS}"
    assert isinstance(error, OutOfFundsError)


@pytest.mark.parametrize("body", [None, b"", b"<html>", b"[]", b'{"code": 3}', "\ufffd"])
def test_an_answer_without_words_keeps_its_status(body: object) -> None:
    assert str(raised(ApiError(400, body))) == "cannot start studio 'x' on L4: (400)"


def test_the_words_behind_the_sdks_last_try_are_found() -> None:
    error = raised(Exception("The call request failed to reach the server"), ApiError(429, answer("slow down", 8)))
    assert str(error).endswith(": slow down")
    assert type(error) is RateLimitedError


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, FUNDS, OutOfFundsError),
        (403, "Out of credits", OutOfFundsError),
        (400, "accelerator lit-h100-1 not found for this AWS cluster", MachineRefusedError),
        (403, "A100 is tier-restricted: upgrade your plan", MachineRefusedError),
        (403, "API key is not authorized for this project", RefusedError),
        (400, "cannot switch to a Studio", CloudError),
        (404, "accelerator of job x not found", CloudError),
        (429, "out of funds", RateLimitedError),
        (500, FUNDS, UnreachableError),
        (507, "no space is left on the device", RefusedError),
        (401, "the API key has expired", AccessRefusedError),
    ],
)
def test_a_refusal_is_of_the_kind_of_its_reason(status: int, message: str, kind: type[CloudError]) -> None:
    assert type(raised(ApiError(status, answer(message)))) is kind


def test_only_a_404_of_the_error_itself_means_gone() -> None:
    assert is_gone(ApiError(404, b""))
    assert not is_gone(ApiError(400, b""))
    assert not is_gone(Exception("does not exist"))


def test_a_full_store_is_a_refusal_that_says_so_although_the_sdk_has_the_status_in_its_text() -> None:
    refusal = raised(RuntimeError("Failed to upload file 'x'. Status code: 507"))
    assert type(refusal) is RefusedError
    assert "no space is left for files at Lightning" in str(refusal)


def test_an_answer_with_a_status_in_the_text_is_of_its_kind() -> None:
    assert type(raised(RuntimeError("Failed to download 'x': HTTP 503"))) is UnreachableError
