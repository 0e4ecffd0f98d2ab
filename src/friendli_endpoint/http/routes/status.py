"""Routes for the endpoint's own state: liveness, readiness, models and metrics."""

from fastapi import FastAPI
from starlette.responses import JSONResponse, PlainTextResponse, Response

from friendli_endpoint.http.service import Service
from friendli_endpoint.own_thread import on_own_thread
from friendli_endpoint.telemetry import CONTENT_TYPE
from friendli_endpoint.telemetry.metrics import Metrics

__all__ = ["add_status_routes"]

MODELS = "/dedicated/v1/models"
METRICS = "/metrics"


def add_status_routes(app: FastAPI, service: Service, metrics: Metrics | None) -> None:
    """Adds the routes to an application; `/metrics` only if `metrics` is given."""

    @app.get("/live", summary="Check liveness")
    async def live() -> Response:
        service.check_live()
        return JSONResponse({"status": "alive"})

    @app.get("/health", summary="Check readiness")
    async def health() -> Response:
        service.check_ready()
        return JSONResponse({"status": "ready"})

    @app.get(MODELS, summary="List the models")
    async def models() -> Response:
        return JSONResponse({"object": "list", "data": list(service.models())})

    if metrics is not None:

        @app.get(METRICS, summary="Metrics for Prometheus", response_class=PlainTextResponse)
        async def exposition() -> Response:
            return Response(await on_own_thread(metrics.exposition), media_type=CONTENT_TYPE)
