"""Lists the models of a running endpoint."""

import os
from typing import Any

import httpx2

__all__ = ["UnreachableError", "served_models"]

SECONDS = 10.0


class UnreachableError(Exception):
    """The endpoint did not list its models; the message says why in a sentence."""


def served_models(url: str) -> list[dict[str, Any]]:
    """Returns the model cards of an endpoint; every card has an `id`.

    Args:
        url: URL of the endpoint, without a path.

    Raises:
        UnreachableError: The endpoint did not respond, or not with a list of models.
    """
    token = os.environ.get("FRIENDLI_TOKEN")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    address = url.rstrip("/") + "/dedicated/v1/models"
    try:
        response = httpx2.get(address, headers=headers, timeout=SECONDS)
        response.raise_for_status()
        cards = response.json()["data"]
        return [{**card, "id": str(card["id"])} for card in cards]
    except httpx2.HTTPStatusError as error:
        status, reason = error.response.status_code, _reason(error.response)
        raise UnreachableError(f"{address} responded with {status}: {reason}") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise UnreachableError(f"{url} does not respond: {error}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UnreachableError(f"{address} did not respond with a list of models") from error


def _reason(response: httpx2.Response) -> str:
    """Returns the message of an endpoint's error, else the beginning of the body."""
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, TypeError, KeyError):
        return response.text[:300]
