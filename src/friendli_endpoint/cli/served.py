"""Lists the models of a running endpoint."""

from typing import Any

import httpx2

from friendli_endpoint.cli.addresses import bearer_headers, shown_address
from friendli_endpoint.cli.http_client import ClientError, http_client

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
    headers = bearer_headers("FRIENDLI_TOKEN")
    address = url.rstrip("/") + "/dedicated/v1/models"
    shown = shown_address(address)
    try:
        with http_client() as client:
            response = client.get(address, headers=headers, timeout=SECONDS)
        response.raise_for_status()
        cards = response.json()["data"]
        return [{**card, "id": str(card["id"])} for card in cards]
    except ClientError as error:
        raise UnreachableError(str(error)) from error
    except httpx2.HTTPStatusError as error:
        status, reason = error.response.status_code, _reason(error.response)
        raise UnreachableError(f"{shown} responded with {status}: {reason}") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        # Other errors quote headers or the address, which may contain secrets.
        reason = str(error) if isinstance(error, httpx2.NetworkError) else type(error).__name__
        raise UnreachableError(f"{shown_address(url)} does not respond: {reason}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UnreachableError(f"{shown} did not respond with a list of models") from error


def _reason(response: httpx2.Response) -> str:
    """Returns the message of an endpoint's error, else the beginning of the body."""
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, TypeError, KeyError):
        return response.text[:300]
