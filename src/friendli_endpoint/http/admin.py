"""Access to the routes that only administrators may call."""

import ipaddress

from starlette.requests import Request
from starlette.responses import Response

from friendli_endpoint.http.errors import error_response
from friendli_endpoint.http.middleware.auth import UNAUTHORIZED, bearer_token
from friendli_endpoint.http.middleware.tokens import find_token
from friendli_endpoint.http.policy import Policy

__all__ = ["admin_rejection"]


def admin_rejection(request: Request, policy: Policy) -> Response | None:
    """Returns the response to a caller who is not an administrator, else None.

    It is a 401 if the caller has no valid token, and a 403 if the token is not an administrator's
    or there are no administrators. The request's body is not read.

    Args:
        request: The request; if tokens are required, it has a valid one.
        policy: Access of callers.
    """
    if policy.admin_tokens is None:
        if policy.open_admin and _is_local(request):
            return None
        return _forbidden("the endpoint was started without --admin-token-file")
    if find_token(policy.admin_tokens(), bearer_token(request.headers)) is not None:
        return None
    if policy.tokens is None:
        return UNAUTHORIZED
    return _forbidden("this token is not an administrator's")


def _forbidden(reason: str) -> Response:
    message = f"only an administrator may load and remove adapters: {reason}"
    return error_response(403, message, code="not_allowed")


def _is_local(request: Request) -> bool:
    """Whether a request comes from this machine: the server may not be the one we configured."""
    try:
        address = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
