"""Every setting of the service, in one class, read from environment variables.

A field `name` is the variable `GRADIENT_NAME`; `DATABASE_URL` has no prefix, because
platforms set it under that name. Lists and objects are written as JSON.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.engine.control import Limits

Scope = Literal["compute", "grade", "tasks", "metrics", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""What a key may open: computing and registering graphs; grading; holding tasks, and with
`compute` deleting graphs and moving names; reading the metrics; everything."""

MiB = 1024 * 1024


class ApiKey(BaseModel):
    """One API key: its SHA-256, never the key itself.

    `rate` is a sustained number of requests per second with a burst of `burst`; without
    it the setting `rate_limit` holds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="Shown in logs.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the key's UTF-8 bytes.")
    scopes: tuple[Scope, ...] = ("compute",)
    rate: float | None = Field(None, gt=0, description="Requests per second.")
    burst: int | None = Field(None, ge=1, description="Requests at once; twice the rate if unset.")

    def may(self, scope: Scope) -> bool:
        """Whether the key opens what needs this scope; the scope `admin` opens everything."""
        return scope in self.scopes or "admin" in self.scopes


class Settings(BaseSettings):
    """The settings, with their defaults. Sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="GRADIENT_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    # What one request may ask for. Each is its own error, and is checked before work starts.
    max_body_bytes: int = Field(16 * MiB, ge=1, description="Bytes of a request's body.")
    max_json_depth: int = Field(64, ge=4, description="Nesting of a request's JSON.")
    max_nodes: int = Field(2_000_000, ge=1, description="Nodes of a graph.")
    max_tensor_elements: int = Field(20_000_000, ge=1, description="Elements of one tensor.")
    max_total_elements: int = Field(
        64_000_000,
        ge=1,
        description="Elements of all tensors of a computation together.",
    )
    max_flops: int = Field(200_000_000_000, ge=1, description="Floating-point operations.")
    max_output_bytes: int = Field(256 * MiB, ge=1, description="Bytes of an answer, estimated.")
    max_batch: int = Field(10_000_000, ge=1, description="Points of a batch.")
    max_order: int = Field(8, ge=1, description="Order of a derivative.")
    max_derived_nodes: int = Field(200_000, ge=1, description="Nodes of a derived graph.")
    max_diagnosis_runs: int = Field(
        2_000,
        ge=0,
        description="Computations that one diagnosis may try before it gives up.",
    )
    deadline_seconds: float = Field(30.0, gt=0, description="From the whole body to the answer.")

    # Where work runs, and how much of it may wait.
    inline_body_bytes: int = Field(
        8_192, ge=0, description="Up to this size a body is read on the event loop."
    )
    inline_flops: int = Field(
        20_000,
        ge=0,
        description="Up to this cost a request is computed on the event loop.",
    )
    light_body_bytes: int = Field(
        262_144,
        ge=0,
        description="Up to this size a body is read in the pool for light requests.",
    )
    light_flops: int = Field(
        20_000_000, ge=0, description="Up to this cost a request counts as light."
    )
    light_threads: int = Field(1, ge=1, description="Threads for light requests.")
    heavy_threads: int = Field(1, ge=1, description="Threads for heavy requests.")
    light_queue: int = Field(256, ge=0, description="Light requests that may wait.")
    heavy_queue: int = Field(16, ge=0, description="Heavy requests that may wait.")
    max_pending_bytes: int = Field(
        256 * MiB,
        ge=1,
        description="Bodies held at one time, of all requests together.",
    )
    max_unsent_bytes: int = Field(
        96 * MiB,
        ge=1,
        description="Answers held until they are read; a larger one may be held alone.",
    )
    retry_after_seconds: int = Field(1, ge=1, description="Retry-After of a 503.")
    graph_cache_entries: int = Field(1_024, ge=0, description="Graphs that are remembered.")
    graph_cache_bytes: int = Field(256 * MiB, ge=0, description="Their memory, together, roughly.")

    # Connections.
    keep_alive_seconds: int = Field(15, ge=1, description="An idle connection is closed then.")
    header_seconds: float = Field(10.0, gt=0, description="For a request's head to arrive.")
    body_seconds: float = Field(30.0, gt=0, description="For a request's body to arrive.")
    write_seconds: float = Field(
        30.0,
        gt=0,
        description="An answer is given up that its client reads nothing of for so long.",
    )
    max_header_bytes: int = Field(65_536, ge=1_024, description="Bytes of a request's head.")
    max_connections: int = Field(4_096, ge=1, description="Connections of one worker.")
    drain_seconds: float = Field(
        2.0,
        ge=0,
        description="After SIGTERM, /readyz says no for so long before the door closes.",
    )
    shutdown_seconds: int = Field(
        60, ge=1, description="After that, running requests may take so long to finish."
    )

    # Access.
    api_keys: Annotated[tuple[ApiKey, ...], NoDecode] = Field(
        (),
        description="A JSON list of {name, sha256, scopes, rate, burst}; empty: open to all.",
    )
    api_keys_file: Path | None = Field(None, description="A file that holds the same list.")
    rate_limit: float | None = Field(
        None,
        gt=0,
        description="Requests per second of a key that has no rate of its own.",
    )
    cors_origins: tuple[str, ...] = Field((), description='Origins for CORS; ["*"] for any.')
    frame_ancestors: tuple[Annotated[str, Field(pattern=r"^[^\s;,]+$")], ...] = Field(
        (), description="Origins whose pages may show the page in a frame, at /?embed."
    )

    # What is served.
    host: str = Field("127.0.0.1", description="The address that `serve` listens on.")
    port: int = Field(8000, ge=0, le=65_535, description="The port that `serve` listens on.")
    workers: int = Field(1, ge=1, description="Worker processes of `serve`.")
    root_path: str = Field("", description="The path that a proxy puts in front.")
    public_url: str = Field("", description="Put in front of /problems/… in problem types.")
    jit_cache: Path | None = Field(
        None,
        description="A folder for compiled loops (the extra jit); by default one of the user's. "
        "Where nothing can be written, each start compiles them: some two seconds.",
    )
    playground: bool = Field(True, description="Serve the playground at /.")
    tasks_dir: Path | None = Field(None, description="A folder of grading tasks.")
    database_url: SecretStr = Field(
        SecretStr("sqlite://"),
        validation_alias=AliasChoices("database_url", "DATABASE_URL", "GRADIENT_DATABASE_URL"),
        description="Where registered graphs and tasks are kept: sqlite:///PATH, or "
        "postgresql://… to share them between replicas. Without it, in memory. DATABASE_URL.",
    )
    store_max_bytes: int = Field(
        1024 * MiB, ge=MiB, description="Size that an SQLite store may grow to."
    )

    # Seeing inside.
    log_level: Literal["debug", "info", "warning", "error", "critical"] = Field(
        "info", description="The least level that is logged."
    )
    access_log: Literal["all", "errors", "off"] = Field(
        "errors",
        description="Which requests are logged: all, those refused or failed, none.",
    )
    telemetry: bool = Field(True, description="FastAPI's OpenTelemetry, where an SDK is set up.")
    state_dir: Path | None = Field(
        None,
        description="A folder that the workers share for counters; `serve` makes one.",
    )

    @field_validator("api_keys", mode="before")
    @classmethod
    def _parse_keys(cls, value: object) -> object:
        """Parse the list here: a fault must not print what the variable held."""
        if not isinstance(value, str):
            return value
        import json

        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("not a JSON list of keys") from None

    def all_keys(self) -> tuple[ApiKey, ...]:
        """All keys, those of the file included. OSError or ValueError if it can't be read."""
        if self.api_keys_file is None:
            return self.api_keys
        from pydantic import TypeAdapter

        listed = TypeAdapter(tuple[ApiKey, ...])
        return self.api_keys + listed.validate_json(self.api_keys_file.read_bytes())

    @classmethod
    def defaults(cls) -> Settings:
        """The defaults, whatever the environment says."""
        return cls.model_construct()

    @property
    def limits(self) -> Limits:
        """The part of the limits that the engine looks after."""
        return Limits(
            nodes=self.max_nodes,
            elements_per_tensor=self.max_tensor_elements,
            elements_total=self.max_total_elements,
            flops=self.max_flops,
            order=self.max_order,
            derived_nodes=self.max_derived_nodes,
        )


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()


def described() -> list[tuple[str, str, str]]:
    """Of every setting: its variable, its default as it would be written there, its meaning."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, SecretStr):
            default = default.get_secret_value()
        if default is None or default == ():
            default = ""
        if isinstance(default, bool):
            default = str(default).lower()
        variable = "DATABASE_URL" if name == "database_url" else f"GRADIENT_{name.upper()}"
        rows.append((variable, str(default), field.description or ""))
    return rows
