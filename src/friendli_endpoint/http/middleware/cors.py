"""CORS: requests of web pages from other origins."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from friendli_endpoint.http.errors import error_response

__all__ = ["EndpointCORSMiddleware"]


class EndpointCORSMiddleware(CORSMiddleware):
    """Starlette's CORS middleware with the endpoint's JSON errors.

    Args:
        app: The application.
        origins: Allowed origins, such as `https://example.org`; `*` allows any.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("*",),
            expose_headers=("x-request-id", "retry-after"),
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Returns the response to a preflight request."""
        response = super().preflight_response(request_headers)
        if response.status_code == 200:
            return response
        message = bytes(response.body).decode()
        return error_response(
            response.status_code, message, code="cors", headers={"vary": "Origin"}
        )
