"""Settings of the service: environment variables (`NOYAU_...`), then a TOML file, then the defaults below.

Nested settings are joined by two underscores, as in `NOYAU_LISTEN__ADDRESS=0.0.0.0:50051` or, for lists, JSON as in
`NOYAU_ACCESS__ROOTS='["/data"]'`. The TOML file is named by `NOYAU_CONFIG` or `noyau serve --config`; its tables have
the names of the classes' fields. Unknown names are refused, so that a typing mistake is not silently ignored.

Only `main.py` and the commands read settings; everything else gets values passed to it.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from noyau.config_auth import AuthSettings
from noyau.config_dask import DaskSettings
from noyau.config_mistakes import Given, Mistake, of_validation, refuse, unknown_variables
from noyau.config_omero import OmeroServerSettings
from noyau.config_operations import LogSettings, MetricsSettings, TraceSettings

DEFAULT_ADDRESS = "127.0.0.1:50051"


def default_state_dir() -> Path:
    """`$XDG_DATA_HOME/noyau`, by default `~/.local/share/noyau`."""
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base else Path.home() / ".local" / "share") / "noyau"


def default_models_home() -> str:
    """The user's own models, for commands and services alike: `models` in the default state folder."""
    return str(default_state_dir() / "models")


def default_models_cache() -> Path:
    """`$XDG_CACHE_HOME/noyau/models`, by default `~/.cache/noyau/models`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "noyau" / "models"


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _folder_or_s3(place: str) -> str:
    if "://" not in place:
        if not place.strip():
            raise ValueError("it is empty")
        return str(_absolute(Path(place)))
    if not re.fullmatch(r"s3://[^/]+(/.*)?", place):
        raise ValueError("give a folder or s3://bucket/prefix")
    return place.rstrip("/")


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
FolderOrS3 = Annotated[str, AfterValidator(_folder_or_s3)]


class Section(BaseModel):
    """A group of settings; immutable, unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ListenSettings(Section):
    """Where and how the gRPC server listens."""

    address: str = Field(
        default=DEFAULT_ADDRESS, description="host:port, [v6]:port or unix:/path. Port 0 picks a free one."
    )
    tls_certificate: AbsolutePath | None = Field(
        default=None, description="PEM file with the server's certificate chain."
    )
    tls_key: AbsolutePath | None = Field(default=None, description="PEM file with the server's private key.")
    tls_client_ca: AbsolutePath | None = Field(
        default=None, description="PEM file of the authority whose client certificates are let in (mutual TLS)."
    )
    insecure: bool = Field(
        default=False,
        description="Allow an address beyond this machine without TLS or proofs. Anyone who reaches it may run jobs.",
    )
    message_mib: int = Field(
        default=64, ge=1, le=1024, description="Largest crop in a preview or inference request, MiB."
    )
    concurrent_calls: int = Field(
        default=512, ge=1, description="Calls (streams included) served at once; more are refused."
    )
    request_seconds: float = Field(
        default=60.0, gt=0, description="Time in which a message of a request has to arrive, once its call is open."
    )
    drain_seconds: float = Field(default=5.0, ge=0, description="Time that running calls get when the service stops.")


class GroupQuota(Section):
    """Limits of one group, instead of those that all groups have. Without a number there is none."""

    running: int | None = Field(default=None, ge=1, description="Jobs that run at once.")
    queued: int | None = Field(default=None, ge=1, description="Jobs that may wait.")


class JobSettings(Section):
    """The queue and the processes that work on it."""

    database: str | None = Field(
        default=None, description="SQLAlchemy URL, e.g. postgresql+psycopg://...; default: SQLite in the state folder."
    )
    workers: int = Field(
        default=1, ge=0, le=64, description="Worker processes; each runs one job at a time. 0: none here."
    )
    threads: int | None = Field(
        default=None, ge=1, le=1024, description="Threads per worker; default: the processors divided by the workers."
    )
    model_memory_mib: int = Field(
        default=4096,
        ge=1,
        description="Memory for networks that a worker keeps warm; the least recently used go first.",
    )
    lease_seconds: float = Field(
        default=15.0, gt=0, description="How long a worker on a lost host is believed alive without a heartbeat."
    )
    drain_seconds: float = Field(
        default=0.0,
        ge=0,
        description="Time that running jobs get to end when the service stops; then they wait for the next start.",
    )
    running_per_group: int | None = Field(default=None, ge=1, description="Jobs of one group that run at once.")
    queued_per_group: int | None = Field(default=None, ge=1, description="Jobs of one group that may wait.")
    groups: dict[str, GroupQuota] = Field(default_factory=dict, description="Limits of single groups by name.")
    name: str | None = Field(
        default=None, max_length=100, description="Name of this coordinator, its own. Default: made from the host's."
    )
    keep_days: float | None = Field(
        default=None, gt=0, description="Days after which ended jobs are forgotten; their results stay. Default: never."
    )


class AccessSettings(Section):
    """Which images the service may touch."""

    roots: tuple[str, ...] = Field(
        default=(),
        description="Folders under which local images must lie; `noyau serve` takes its own folder if none.",
    )
    remote_hosts: tuple[str, ...] = Field(
        default=(),
        description="Hosts for http(s), and s3://bucket or s3://bucket/prefix, with * as a wildcard. Empty: none.",
    )
    s3_endpoint: str | None = Field(default=None, description="URL of an S3 service other than Amazon's.")
    torchscript: bool = Field(
        default=False, description="Take models with TorchScript weights, which are programs; they are checked first."
    )


class LimitSettings(Section):
    """How large a request may be."""

    image_voxels: int = Field(default=8_000_000_000, ge=1, description="Voxels of one time point of one channel.")
    tile_voxels: int = Field(default=64_000_000, ge=1, description="Voxels of one tile with its halo.")
    images: int = Field(default=10_000, ge=1, description="Image references in one job.")
    archive_mib: int = Field(default=2048, ge=1, description="Largest model archive that is taken, MiB.")
    previews_waiting: int = Field(default=8, ge=0, description="Previews that may wait for the one that runs.")
    calls_per_minute: int | None = Field(
        default=6000, ge=1, description="Calls of one caller; of one address where callers prove nothing."
    )
    calls_at_once: int | None = Field(default=256, ge=1, description="Open calls of one caller, streams included.")


class Settings(Section):
    """Everything that can be set."""

    state_dir: AbsolutePath = Field(
        default_factory=default_state_dir, description="Database and scratch of running jobs."
    )
    models: tuple[AbsolutePath, ...] = Field(
        default=(), description="Folders with model packages beside those shipped; only read."
    )
    models_home: FolderOrS3 = Field(
        default_factory=default_models_home,
        description="Where models are registered: a folder or s3://bucket/prefix, the same for all who share models.",
    )
    models_cache: AbsolutePath = Field(
        default_factory=default_models_cache, description="Local copies of packages of a home on S3."
    )
    models_cache_mib: int = Field(
        default=20_480, ge=1, description="Most that those copies may take; the least recently used go first, MiB."
    )
    listen: ListenSettings = ListenSettings()
    jobs: JobSettings = JobSettings()
    access: AccessSettings = AccessSettings()
    auth: AuthSettings = AuthSettings()
    limits: LimitSettings = LimitSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    dask: DaskSettings = DaskSettings()
    traces: TraceSettings = TraceSettings()
    omero: dict[str, OmeroServerSettings] = Field(
        default_factory=dict, description="OMERO servers by alias, as images name them: omero://alias/image/1."
    )

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the job store."""
        return self.jobs.database or f"sqlite:///{self.state_dir / 'jobs.sqlite'}"

    @property
    def asks_callers(self) -> bool:
        """Whether callers have to prove who they are."""
        return self.auth.required or self.auth.tokens.issuer is not None or self.listen.tls_client_ca is not None


class _Environment(EnvSettingsSource):
    """The environment. What should be JSON and is not goes on as text, so that it is named with all other mistakes."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class _Reader(Settings, BaseSettings):
    """The same fields, filled from the environment and a file."""

    model_config = SettingsConfigDict(env_prefix="NOYAU_", env_nested_delimiter="__", extra="forbid", frozen=True)
    _document: ClassVar[dict[str, Any]]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, _Environment(settings_cls), InitSettingsSource(settings_cls, cls._document))


# Variables of the commands, which are no settings of the service.
_OTHER_VARIABLES = (
    "NOYAU_CONFIG", "NOYAU_SERVER", "NOYAU_TLS_CA", "NOYAU_TLS_CERTIFICATE", "NOYAU_TLS_KEY", "NOYAU_TOKEN",
    "NOYAU_TOKEN_FILE",
)  # fmt: skip


def load_settings(file: Path | None = None, **overrides: Any) -> Settings:
    """Reads environment and file.

    Args:
        file: TOML file; None takes the one that NOYAU_CONFIG names, if any.
        overrides: values that win over both, by field name; nested ones as dictionaries.

    Raises:
        InvalidInput: the file is absent or not TOML, a name is unknown or a value is wrong; all of it is named at
            once, with what to write instead.
    """
    named = os.environ.get("NOYAU_CONFIG", "")
    path = file if file is not None else (Path(named) if named else None)
    document, mistakes = _read_file(path)
    given = Given(overrides, {name.upper(): value for name, value in os.environ.items()}, path, document)
    mistakes += unknown_variables(Settings, given.environment, _OTHER_VARIABLES)
    reader = type("_FileReader", (_Reader,), {"_document": document})
    try:
        found = Settings.model_validate(reader(**overrides).model_dump())
    except ValidationError as error:
        refuse([*mistakes, *of_validation(Settings, error.errors(include_url=False), given)])
        raise
    refuse(mistakes)
    return found


def _read_file(path: Path | None) -> tuple[dict[str, Any], list[Mistake]]:
    """What the file says; nothing and a mistake where it cannot be read."""
    if path is None:
        return {}, []
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), []
    except FileNotFoundError:
        return {}, [Mistake(f"file {path}", "the file does not exist", "Give the path of a TOML file.")]
    except OSError as error:
        return {}, [Mistake(f"file {path}", f"the file cannot be read ({error.strerror})", "Give a readable file.")]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return {}, [Mistake(f"file {path}", f"it is not TOML: {error}", "Mend the line, or see https://toml.io.")]


def settings_to_json(settings: Settings) -> str:
    """Settings as text, for a worker process."""
    return settings.model_dump_json()


def settings_from_json(text: str) -> Settings:
    """Settings of the parent process, without looking at the environment or a file again."""
    return Settings.model_validate_json(text)
