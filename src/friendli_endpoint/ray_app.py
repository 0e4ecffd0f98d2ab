"""Applications for `serve deploy`, `serve run` and RayService, where Ray Serve runs everything.

    import_path: friendli_endpoint.ray_app:build    # the whole endpoint, behind Ray's proxy
    import_path: friendli_endpoint.ray_app:engines  # engines, for `friendli-endpoint serve --ray`

The arguments are settings of the endpoint. They must contain `threads`, because the processors of
the nodes are not known where an application is built.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from friendli_endpoint.app import create_endpoint, fleet_source, model_of, ray_options_of
from friendli_endpoint.engine.remote.ray.cluster import engines_of
from friendli_endpoint.engine.remote.ray.deployment import EngineDeployment, Processors
from friendli_endpoint.engine.remote.ray.options import RayOptions
from friendli_endpoint.generation import StartError
from friendli_endpoint.settings import Settings

__all__ = ["WITHOUT_EFFECT", "ChatFront", "build", "engines"]

WITHOUT_EFFECT = (
    "port",
    "tls_cert",
    "tls_key",
    "max_connections",
    "receive_seconds",
    "keep_alive_seconds",
    "stall_seconds",
    "drain_seconds",
    "log_level",
    "log_format",
    "ray",
    "ray_app",
    "config",
)
"""Settings of what Ray Serve does instead of our server, or of where to find the cluster."""


class ChatFront:
    """A replica of the endpoint's HTTP side, behind Ray's proxy.

    Args:
        settings: Settings of the endpoint.
        handle: Handle of the engines' deployment.
    """

    def __init__(self, settings: Settings, handle: Any) -> None:
        self._settings = settings
        self._handle = handle

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Returns the application; Ray Serve calls it, and runs its lifespan."""
        options = ray_options_of(self._settings)
        source = fleet_source(
            model_of(self._settings),
            self._settings,
            lambda _setup: options.placement_of(self._handle),
            options.check,
        )
        return create_endpoint(self._settings, source=source).app


def build(arguments: Mapping[str, Any]) -> Any:
    """Returns the application of an endpoint with its engines.

    Args:
        arguments: Settings of the endpoint; `host` is the address of Ray's proxy, which decides
            whether tokens are needed, by default that of all networks.

    Raises:
        StartError: A setting has no effect here, or the model cannot be served.
    """
    settings = _settings_of({"host": "0.0.0.0", **arguments})
    options, deployment = _deployment_of(settings)
    from ray import serve

    front = serve.deployment(
        name="chat",
        graceful_shutdown_timeout_s=2 * deployment.drain_seconds,
        max_ongoing_requests=settings.max_queue + settings.max_sequences * options.max_engines,
        logging_config={"enable_access_log": False},
    )(serve.ingress()(ChatFront))
    return front.bind(settings, engines_of(deployment))


def engines(arguments: Mapping[str, Any]) -> Any:
    """Returns the application of engines only, which endpoints outside use.

    Args:
        arguments: Settings of the endpoints that are about engines, equal to theirs.

    Raises:
        StartError: A setting has no effect here, or the model cannot be served.
    """
    _, deployment = _deployment_of(_settings_of(arguments))
    return engines_of(deployment)


def _settings_of(arguments: Mapping[str, Any]) -> Settings:
    for name in WITHOUT_EFFECT:
        if name in arguments:
            raise StartError(f"the argument {name} has no effect in an application of Ray Serve")
    if "threads" not in arguments:
        raise StartError("the argument threads, the processors of an engine, is needed")
    return Settings(**arguments)


def _deployment_of(settings: Settings) -> tuple[RayOptions, EngineDeployment]:
    options = ray_options_of(settings)
    source = fleet_source(model_of(settings), settings, options.placement, options.check)
    assert options.threads is not None
    every_node = Processors(options.max_engines * options.threads, options.threads)
    return options, options.deployment(source.setup, every_node)
