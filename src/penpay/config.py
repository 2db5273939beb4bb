"""Every setting of the program, read from the environment once, at the start; `.env.example` lists them with meanings.

Only `bootstrap` and the command line see settings; everything below takes plain arguments. A field is the environment
variable's name in lower case, without `PENPAY_` where that stands in front.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from penpay.config_carriers import CarrierSettings
from penpay.domain.deriv.login_id import DerivLoginId
from penpay.domain.shared.errors import InvalidDerivLoginId
from penpay.infrastructure.security.keys import KeyPurpose, KeyRing, derive_key, parse_key, parse_key_ring

Network = IPv4Network | IPv6Network
S = TypeVar("S", bound="DatabaseSettings")

SAFARICOM: Final = (
    "196.201.214.200,196.201.214.206,196.201.214.207,196.201.214.208,196.201.213.114,196.201.213.44,"
    "196.201.212.127,196.201.212.138,196.201.212.129,196.201.212.136,196.201.212.74,196.201.212.69"
)
"""The addresses Safaricom has published for callbacks (daraja.md §6.1)."""
_CALLBACKS: Final = "/api/v1/callbacks/"
_CALLBACK_PATHS: Final[Mapping[str, str]] = {
    "mpesa_callback_url": f"{_CALLBACKS}stk",
    "mpesa_result_url": f"{_CALLBACKS}results",
    "mpesa_timeout_url": f"{_CALLBACKS}timeouts",
}
"""Where our API takes STK callbacks, Results, and notices that a call waited too long."""
_SHORT_CODE: Final = r"^[1-9][0-9]{4,6}$"
_LOOPBACK: Final = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_DRIVERS: Final[Mapping[str, str]] = {
    "mariadb": "mysql+asyncmy",
    "mysql": "mysql+asyncmy",
    "mysql+asyncmy": "mysql+asyncmy",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}


class AppEnv(StrEnum):
    """What this process is for."""

    DEVELOPMENT = "development"
    TESTING = "testing"
    DEMO = "demo"
    PRODUCTION = "production"


class InvalidSettings(Exception):
    """The environment cannot be used; `faults` holds every reason, naming settings and never showing a value."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("The settings cannot be used:\n" + "\n".join(f"  {fault}" for fault in faults))
        self.faults = faults


def _database_url(text: str) -> str:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Without the cause: it quotes the address, which may hold a password.
        raise ValueError("is not the address of a database") from None
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise ValueError("must begin with sqlite://, postgresql://, mysql:// or mariadb://")
    if driver.startswith("sqlite") and not _sqlite_file(url):
        raise ValueError("must name a file, such as sqlite:///var/penpay.db")
    if driver.startswith("postgresql") and "sslmode" in url.query:
        url = url.update_query_dict({"ssl": url.query["sslmode"]}).difference_update_query(["sslmode"])
    return url.set(drivername=driver).render_as_string(hide_password=False)


def _sqlite_file(url: URL) -> str:
    """The file of an SQLite address, in the one spelling that opens no other file; empty for one in memory."""
    name = (url.database or "").removeprefix("file:").partition("?")[0]
    in_memory = name in {"", ":memory:"} or url.query.get("mode") == "memory"
    return "" if in_memory else os.path.realpath(name)


def _networks(text: str) -> str:
    for part in filter(None, map(str.strip, text.split(","))):
        try:
            ip_network(part)
        except ValueError:
            raise ValueError("must be addresses or networks (CIDR) separated by commas") from None
    return text


def _parsed_networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(part) for part in filter(None, map(str.strip, text.split(","))))


DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
Networks = Annotated[str, AfterValidator(_networks)]


class DatabaseSettings(BaseSettings):
    """What a command needs that only looks after the database: no secret of any provider."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)

    app_env: AppEnv = AppEnv.DEVELOPMENT
    # An address may hold a password, so it never appears in a repr.
    database_url: DatabaseUrl = Field("sqlite+aiosqlite:///var/penpay.db", repr=False)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  (pydantic-settings passes all of them by name)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (as above)
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (as above)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (as above)
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from `_loaded` alone, so that a test's settings cannot depend on who runs it."""
        return (init_settings,)


class OperatorRules(StrEnum):
    """What the operator asks of its customers."""

    OPEN = "open"
    """Every call of the original interface completes in one request: no PIN, no limits."""
    KENYA = "kenya"
    """A PIN to move money, and the limits of penpay/data/rules-kenya.json."""


class OperatorSettings(DatabaseSettings):
    """What the mobile-money operator needs when it runs by itself: no secret of any provider."""

    operator_database_url: DatabaseUrl = Field("sqlite+aiosqlite:///var/operator.db", repr=False)
    operator_http_host: str = Field("127.0.0.1", validation_alias="PENPAY_OPERATOR_HTTP_HOST")
    operator_http_port: int = Field(6700, validation_alias="PENPAY_OPERATOR_HTTP_PORT", ge=0, le=65_535)
    operator_rules: OperatorRules = Field(OperatorRules.OPEN, validation_alias="PENPAY_OPERATOR_RULES")
    operator_approval_above_cents: int | None = Field(
        None, validation_alias="PENPAY_OPERATOR_APPROVAL_ABOVE_CENTS", ge=0
    )
    operator_low_float_cents: int = Field(100_000, validation_alias="PENPAY_OPERATOR_LOW_FLOAT_CENTS", ge=0)
    operator_bootstrap_secret: SecretStr | None = Field(
        None, validation_alias="PENPAY_OPERATOR_BOOTSTRAP_SECRET", min_length=16
    )
    field_keys: SecretStr = Field(validation_alias="PENPAY_FIELD_KEYS")
    master_key: SecretStr = Field(validation_alias="PENPAY_MASTER_KEY")

    @field_validator("field_keys")
    @classmethod
    def _field_keys(cls, value: SecretStr) -> SecretStr:
        parse_key_ring(value.get_secret_value())
        return value

    @field_validator("master_key")
    @classmethod
    def _master_key(cls, value: SecretStr) -> SecretStr:
        parse_key(value.get_secret_value(), name="the setting")
        return value

    @property
    def key_ring(self) -> KeyRing:
        """The keys that seal fields."""
        return parse_key_ring(self.field_keys.get_secret_value())

    def derived_key(self, purpose: KeyPurpose) -> bytes:
        """The key of one purpose, from the master key."""
        return derive_key(parse_key(self.master_key.get_secret_value(), name="PENPAY_MASTER_KEY"), purpose)


class SandboxSettings(OperatorSettings):
    """What `penpay sandbox` needs: where it listens, what its callers must know, and its two databases."""

    deriv_sandbox_database_url: DatabaseUrl = Field(
        "sqlite+aiosqlite:///var/deriv.db", validation_alias="PENPAY_DERIV_SANDBOX_DATABASE_URL", repr=False
    )
    mpesa_consumer_key: SecretStr = Field(min_length=1)
    mpesa_consumer_secret: SecretStr = Field(min_length=1)
    mpesa_short_code: str = Field(pattern=_SHORT_CODE)
    mpesa_passkey: SecretStr = Field(min_length=1)
    mpesa_base_url: str
    mpesa_initiator_name: str | None = Field(None, pattern=r"^[!-~]{1,64}$")
    mpesa_initiator_password: SecretStr | None = Field(None, min_length=1)
    mpesa_b2c_short_code: str | None = Field(None, pattern=_SHORT_CODE)

    deriv_endpoint: str
    deriv_token: SecretStr = Field(min_length=1)
    deriv_login_id: str

    # A setting of the class below is checked by the same rule.
    @field_validator(*_CALLBACK_PATHS, "mpesa_base_url", "deriv_endpoint", check_fields=False)
    @classmethod
    def _address(cls, value: str | None, info: ValidationInfo) -> str | None:
        """An absolute address, encrypted in production: what it carries decides about money."""
        if value is None:
            return None
        plain, secure = ("ws", "wss") if info.field_name == "deriv_endpoint" else ("http", "https")
        told = f"must be an address beginning with {plain}:// or {secure}://"
        try:
            parts = urlsplit(value)
            port = parts.port
        except ValueError:
            raise ValueError(f"{told}, with a port of 1 to 65535 if any") from None
        if not parts.hostname or parts.scheme not in {plain, secure} or parts.query or parts.fragment:
            raise ValueError(told)
        if port == 0:
            raise ValueError(f"{told}, with a port of 1 to 65535 if any")
        path = _CALLBACK_PATHS.get(info.field_name or "", "")
        if not parts.path.rstrip("/").endswith(path):
            raise ValueError(f"must end in {path}")
        if info.data.get("app_env") is AppEnv.PRODUCTION and parts.scheme != secure:
            raise ValueError(f"must begin with {secure}:// in production")
        return value.rstrip("/")

    @field_validator("deriv_login_id")
    @classmethod
    def _login_id(cls, value: str) -> str:
        try:
            return DerivLoginId.parse(value).value
        except InvalidDerivLoginId:
            raise ValueError("is not a Deriv login id such as CR123456") from None

    @model_validator(mode="after")
    def _two_databases(self) -> Self:
        ours, theirs = make_url(self.database_url), make_url(self.operator_database_url)
        files = {_sqlite_file(url) for url in (ours, theirs) if url.get_backend_name() == "sqlite"}
        if ours == theirs or (ours.get_backend_name() == theirs.get_backend_name() and len(files) == 1):
            raise ValueError("OPERATOR_DATABASE_URL must not be DATABASE_URL: they are two books")
        return self

    @model_validator(mode="after")
    def _whole_initiator(self) -> Self:
        if (self.mpesa_initiator_name is None) is not (self.mpesa_initiator_password is None):
            raise ValueError("MPESA_INITIATOR_NAME and MPESA_INITIATOR_PASSWORD are given together or not at all")
        return self

    @property
    def b2c_short_code(self) -> str:
        """The number that pays customers and that an initiator asks about."""
        return self.mpesa_b2c_short_code or self.mpesa_short_code


class Settings(SandboxSettings, CarrierSettings):
    """Everything that can be set."""

    redis_url: str | None = Field(None, repr=False)

    mpesa_callback_url: str
    mpesa_result_url: str | None = None
    mpesa_timeout_url: str | None = None
    mpesa_certificate: Path | None = None
    mpesa_c2b_version: Literal["v1", "v2"] = "v2"
    mpesa_pull: Literal["on", "off"] = "off"
    deriv_app_id: int = Field(ge=1)

    http_host: str = Field("127.0.0.1", validation_alias="PENPAY_HTTP_HOST")
    http_port: int = Field(8000, validation_alias="PENPAY_HTTP_PORT", ge=0, le=65_535)

    business_name: str = Field("PenPay", validation_alias="PENPAY_BUSINESS_NAME", min_length=1, max_length=80)

    fx_spread_bps: int = Field(200, validation_alias="PENPAY_FX_SPREAD_BPS", ge=0, le=2_000)
    fx_max_age_hours: int = Field(24, validation_alias="PENPAY_FX_MAX_AGE_HOURS", ge=1, le=24 * 31)
    fx_max_move_bps: int = Field(300, validation_alias="PENPAY_FX_MAX_MOVE_BPS", ge=1, le=10_000)
    rate_lock_minutes: int = Field(15, validation_alias="PENPAY_RATE_LOCK_MINUTES", ge=1, le=24 * 60)
    deposit_min_usd_cents: int = Field(200, validation_alias="PENPAY_DEPOSIT_MIN_USD_CENTS", ge=1)
    deposit_max_usd_cents: int = Field(100_000, validation_alias="PENPAY_DEPOSIT_MAX_USD_CENTS", ge=1)
    withdrawal_min_usd_cents: int = Field(500, validation_alias="PENPAY_WITHDRAWAL_MIN_USD_CENTS", ge=1)
    withdrawal_max_usd_cents: int = Field(100_000, validation_alias="PENPAY_WITHDRAWAL_MAX_USD_CENTS", ge=1)
    requote_within_bps: int = Field(100, validation_alias="PENPAY_REQUOTE_WITHIN_BPS", ge=0, le=10_000)
    payout_first_status_seconds: int = Field(60, validation_alias="PENPAY_PAYOUT_FIRST_STATUS_SECONDS", ge=1, le=3_600)
    stk_first_query_seconds: int = Field(30, validation_alias="PENPAY_STK_FIRST_QUERY_SECONDS", ge=1, le=3_600)

    c2b_validate: Literal["accept", "limits"] = Field("accept", validation_alias="PENPAY_C2B_VALIDATE")
    c2b_bare_path: Literal["on", "off"] | None = Field(None, validation_alias="PENPAY_C2B_BARE_PATH")
    pull_minutes: int = Field(15, validation_alias="PENPAY_PULL_MINUTES", ge=1, le=24 * 60)
    verify_above_cents: int = Field(1_000_000, validation_alias="PENPAY_VERIFY_ABOVE_CENTS", ge=0)

    lease_seconds: int = Field(200, validation_alias="PENPAY_LEASE_SECONDS", ge=1, le=3_600)

    callback_allow_list: Networks = Field(SAFARICOM, validation_alias="PENPAY_CALLBACK_ALLOW_LIST")
    trusted_proxies: Networks = Field("", validation_alias="PENPAY_TRUSTED_PROXIES")

    @field_validator("deposit_max_usd_cents", "withdrawal_max_usd_cents")
    @classmethod
    def _bounds(cls, value: int, info: ValidationInfo) -> int:
        least = str(info.field_name).replace("_max_", "_min_")
        if value < info.data.get(least, value):
            raise ValueError(f"must not be below PENPAY_{least.upper()}")
        return value

    @model_validator(mode="after")
    def _encrypting(self) -> Self:
        if (self.mpesa_initiator_name is None) is not (self.mpesa_certificate is None):
            raise ValueError("MPESA_INITIATOR_NAME and MPESA_CERTIFICATE are given together or not at all")
        if self.app_env is AppEnv.PRODUCTION and self.plain_carriers:
            raise ValueError(f"{', '.join(self.plain_carriers)} must be encrypted in production")
        return self

    @property
    def result_base_url(self) -> str:
        """Where Results are posted, before the token; beside the STK callbacks unless it is set."""
        return self.mpesa_result_url or self._beside_stk("mpesa_result_url")

    @property
    def timeout_base_url(self) -> str:
        """Where notices are posted that a call waited too long, before the token; as `result_base_url`."""
        return self.mpesa_timeout_url or self._beside_stk("mpesa_timeout_url")

    @property
    def bare_c2b_path(self) -> bool:
        """Whether C2B messages are taken at the path without a secret; in production only where that is set."""
        return self.c2b_bare_path == "on" or (self.c2b_bare_path is None and self.app_env is not AppEnv.PRODUCTION)

    @property
    def public_base_url(self) -> str:
        """Where Safaricom reaches our API, without a path of ours."""
        return self.mpesa_callback_url.removesuffix(_CALLBACK_PATHS["mpesa_callback_url"])

    def _beside_stk(self, name: str) -> str:
        return self.public_base_url + _CALLBACK_PATHS[name]

    @property
    def callback_networks(self) -> tuple[Network, ...]:
        """Where callbacks may come from; outside production also this machine."""
        allowed = _parsed_networks(self.callback_allow_list)
        return allowed if self.app_env is AppEnv.PRODUCTION else (*allowed, *_LOOPBACK)

    @property
    def trusted_proxy_networks(self) -> tuple[Network, ...]:
        """Whose word about a caller's address is taken."""
        return _parsed_networks(self.trusted_proxies)


def load_settings(env: Mapping[str, str] | None = None) -> Settings:
    """All settings, from `env` or else from the process's environment over the file `.env` beside it.

    An empty value counts as not given. Raises InvalidSettings with every fault at once.
    """
    return _loaded(Settings, env)


def load_operator_settings(env: Mapping[str, str] | None = None) -> OperatorSettings:
    """The operator's settings alone, from where `load_settings` takes them. Raises InvalidSettings."""
    return _loaded(OperatorSettings, env)


def load_sandbox_settings(env: Mapping[str, str] | None = None) -> SandboxSettings:
    """The sandbox's settings alone, from where `load_settings` takes them. Raises InvalidSettings."""
    return _loaded(SandboxSettings, env)


def load_database_settings(env: Mapping[str, str] | None = None) -> DatabaseSettings:
    """The database's settings alone, from where `load_settings` takes them. Raises InvalidSettings."""
    return _loaded(DatabaseSettings, env)


def _loaded(kind: type[S], env: Mapping[str, str] | None) -> S:
    given = {name.upper(): value for name, value in (environment() if env is None else env).items() if value}
    values: dict[str, str] = {}
    for name, field in kind.model_fields.items():
        alias = field.validation_alias if isinstance(field.validation_alias, str) else None
        if (alias or name.upper()) in given:
            values[alias or name] = given[alias or name.upper()]
    try:
        return kind(**values)  # type: ignore[arg-type]  # the text of each value is what pydantic parses
    except ValidationError as error:
        faults = [
            _fault(str(found["loc"][0] if found["loc"] else "settings"), found["type"], found["msg"])
            for found in error.errors()
        ]
    # Outside the handler: the error holds every value, and a traceback must not lead to it.
    raise InvalidSettings(tuple(faults))


def environment() -> Mapping[str, str]:
    """The process's environment over the file `.env` beside it. Raises InvalidSettings for a file that is no text."""
    try:
        file = DotEnvSettingsSource(Settings, env_file=Path(".env"), case_sensitive=True).env_vars
    except UnicodeDecodeError:
        # Without the cause: it holds the file.
        raise InvalidSettings((".env: is not UTF-8",)) from None
    return {**{name: value for name, value in file.items() if value is not None}, **os.environ}


def _fault(name: str, kind: str, message: str) -> str:
    told = "is missing" if kind == "missing" else re.sub(r"^Value error, ", "", message)
    return f"{name.upper()}: {told}"
