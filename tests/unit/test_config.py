"""Settings: what is missing is told at once, what is wrong is told without showing it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

import pytest
from pydantic import ValidationError

from penpay.config import AppEnv, InvalidSettings, load_database_settings, load_settings
from penpay.infrastructure.security.keys import KeyPurpose

KEY = base64.b64encode(bytes(range(32))).decode()
GIVEN: Mapping[str, str] = {
    "MPESA_CONSUMER_KEY": "consumer-key-value",
    "MPESA_CONSUMER_SECRET": "consumer-secret-value",
    "MPESA_SHORT_CODE": "600996",
    "MPESA_PASSKEY": "passkey-value",
    "MPESA_CALLBACK_URL": "https://pay.example.com/api/v1/callbacks/stk/",
    "MPESA_BASE_URL": "https://api.safaricom.co.ke",
    "DERIV_ENDPOINT": "wss://ws.derivws.com",
    "DERIV_APP_ID": "1089",
    "DERIV_TOKEN": "deriv-token-value",
    "DERIV_LOGIN_ID": "cr900001",
    "PENPAY_FIELD_KEYS": f"k1:{KEY}",
    "PENPAY_MASTER_KEY": KEY,
}
"""What has no default."""
WS = "must be an address beginning with ws:// or wss://"
SECRETS = ("consumer-key-value", "consumer-secret-value", "passkey-value", "deriv-token-value", KEY)
INITIATOR: Mapping[str, str] = {
    "MPESA_INITIATOR_NAME": "penpay",
    "MPESA_INITIATOR_PASSWORD": "initiator-password-value",
    "MPESA_CERTIFICATE": "certificate.pem",
}


def faults(env: Mapping[str, str]) -> tuple[str, ...]:
    with pytest.raises(InvalidSettings) as refused:
        load_settings(env)
    return refused.value.faults


def test_what_is_given_is_taken_and_the_rest_has_its_default() -> None:
    """With the required settings alone everything else is as .env.example shows it."""
    settings = load_settings(GIVEN)

    assert AppEnv.DEVELOPMENT is settings.app_env
    assert "sqlite+aiosqlite:///var/penpay.db" == settings.database_url
    assert ("127.0.0.1", 8000) == (settings.http_host, settings.http_port)
    assert (200, 24, 300, 15) == (
        settings.fx_spread_bps,
        settings.fx_max_age_hours,
        settings.fx_max_move_bps,
        settings.rate_lock_minutes,
    )
    assert (200, 100_000, 30) == (
        settings.deposit_min_usd_cents,
        settings.deposit_max_usd_cents,
        settings.stk_first_query_seconds,
    )
    assert "CR900001" == settings.deriv_login_id
    assert "https://pay.example.com/api/v1/callbacks/stk" == settings.mpesa_callback_url


def test_everything_missing_is_told_at_once() -> None:
    """Whoever starts with an empty environment gets the whole list, not one name a try."""
    assert sorted(f"{name}: is missing" for name in GIVEN) == sorted(faults({}))


def test_an_empty_value_is_not_given() -> None:
    """A copy of .env.example whose blanks were not filled in lacks what is blank."""
    assert ("DERIV_TOKEN: is missing",) == faults({**GIVEN, "DERIV_TOKEN": "", "PENPAY_HTTP_PORT": ""})


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("APP_ENV", "staging", "Input should be 'development', 'testing', 'demo' or 'production'"),
        ("DATABASE_URL", "oracle://u:hunter2@h/d", "must begin with sqlite://, postgresql://, mysql:// or mariadb://"),
        ("DATABASE_URL", "hunter2", "is not the address of a database"),
        ("DATABASE_URL", "postgresql://penpay:pa@ss:hunter2@db/penpay", "is not the address of a database"),
        ("DATABASE_URL", "sqlite://", "must name a file, such as sqlite:///var/penpay.db"),
        ("DATABASE_URL", "sqlite:///:memory:", "must name a file, such as sqlite:///var/penpay.db"),
        ("MPESA_SHORT_CODE", "0hunter2", "String should match pattern '^[1-9][0-9]{4,6}$'"),
        ("MPESA_CALLBACK_URL", "hunter2", "must be an address beginning with http:// or https://"),
        ("MPESA_CALLBACK_URL", "https://hunter2/stk", "must end in /api/v1/callbacks/stk"),
        ("MPESA_RESULT_URL", "https://hunter2/stk", "must end in /api/v1/callbacks/results"),
        ("MPESA_TIMEOUT_URL", "https://hunter2/api/v1/callbacks/results", "must end in /api/v1/callbacks/timeouts"),
        ("MPESA_B2C_SHORT_CODE", "0hunter2", "String should match pattern '^[1-9][0-9]{4,6}$'"),
        ("MPESA_C2B_VERSION", "hunter2", "Input should be 'v1' or 'v2'"),
        ("MPESA_PULL", "hunter2", "Input should be 'on' or 'off'"),
        ("DERIV_ENDPOINT", "https://hunter2", "must be an address beginning with ws:// or wss://"),
        ("DERIV_ENDPOINT", "ws://hunter2:99999", f"{WS}, with a port of 1 to 65535 if any"),
        ("DERIV_ENDPOINT", "ws://hunter2:0", f"{WS}, with a port of 1 to 65535 if any"),
        ("DERIV_ENDPOINT", "ws://[hunter2", f"{WS}, with a port of 1 to 65535 if any"),
        ("DERIV_LOGIN_ID", "hunter2!", "is not a Deriv login id such as CR123456"),
        ("PENPAY_FIELD_KEYS", "hunter2", "Entry 1 of the key ring is not of the form id:base64."),
        ("PENPAY_MASTER_KEY", "aHVudGVyMg==", "The key of the setting has 7 bytes instead of 32."),
        ("PENPAY_HTTP_PORT", "80.5", "Input should be a valid integer, unable to parse string as an integer"),
        ("PENPAY_FX_MAX_AGE_HOURS", "0", "Input should be greater than or equal to 1"),
        ("PENPAY_DEPOSIT_MAX_USD_CENTS", "1", "must not be below PENPAY_DEPOSIT_MIN_USD_CENTS"),
        (
            "PENPAY_CALLBACK_ALLOW_LIST",
            "196.201.214.200,hunter2",
            "must be addresses or networks (CIDR) separated by commas",
        ),
    ],
)
def test_a_wrong_value_is_named_and_not_shown(name: str, value: str, told: str) -> None:
    """The fault names the setting and says what it should be; the value might be a secret."""
    (fault,) = faults({**GIVEN, name: value})

    assert f"{name}: {told}" == fault
    assert "hunter2" not in fault


def test_nothing_shows_a_secret() -> None:
    """Neither the settings as text nor the traceback of a refusal holds a secret or a database password."""
    given = {**GIVEN, **INITIATOR, "DATABASE_URL": "postgresql://penpay:hunter2@db/penpay"}
    settings = load_settings(given)
    with pytest.raises(InvalidSettings) as refused:
        load_settings({**given, "APP_ENV": "staging"})

    for secret in (*SECRETS, "initiator-password-value", "hunter2"):
        assert secret not in repr(settings)
        assert secret not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


@pytest.mark.parametrize("spelling", ["sqlite:///books.db", "sqlite:///./books.db", "sqlite:///link.db", "absolute"])
def test_two_books_are_two_files(spelling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator's database is not ours, however its address is spelt."""
    monkeypatch.chdir(tmp_path)
    Path("link.db").symlink_to("books.db")
    theirs = spelling if spelling != "absolute" else f"sqlite:///{tmp_path}/books.db"

    (fault,) = faults({**GIVEN, "DATABASE_URL": "sqlite:///books.db", "OPERATOR_DATABASE_URL": theirs})

    assert "SETTINGS: OPERATOR_DATABASE_URL must not be DATABASE_URL: they are two books" == fault


def test_settings_do_not_change() -> None:
    """A running process keeps the settings it was started with."""
    settings = load_settings(GIVEN)

    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, "fx_spread_bps", 0)  # noqa: B010  (a plain assignment would not pass the type checker)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_postgresql_by_any_of_its_names(scheme: str) -> None:
    """Hosting companies write postgres:// and sslmode; the driver is ours to know."""
    settings = load_database_settings({"DATABASE_URL": f"{scheme}://penpay:p%40ss@db:5433/penpay?sslmode=require"})

    assert "postgresql+asyncpg://penpay:p%40ss@db:5433/penpay?ssl=require" == settings.database_url


def test_looking_after_the_database_needs_no_provider_secret() -> None:
    """A migration runs where M-Pesa's and Deriv's secrets are not."""
    assert "sqlite+aiosqlite:///a.db" == load_database_settings({"DATABASE_URL": "sqlite:///a.db"}).database_url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MPESA_CALLBACK_URL", "http://pay.example.com/api/v1/callbacks/stk"),
        ("MPESA_RESULT_URL", "http://pay.example.com/api/v1/callbacks/results"),
        ("MPESA_TIMEOUT_URL", "http://pay.example.com/api/v1/callbacks/timeouts"),
        ("MPESA_BASE_URL", "http://127.0.0.1:6700"),
        ("DERIV_ENDPOINT", "ws://127.0.0.1:6800"),
    ],
)
def test_production_insists_on_encryption(name: str, value: str) -> None:
    """What is right against the sandbox is refused where the money is real."""
    assert load_settings({**GIVEN, name: value})
    (fault,) = faults({**GIVEN, name: value, "APP_ENV": "production"})

    assert fault.startswith(f"{name}: must begin with")
    assert fault.endswith("in production")


CARRIERS = {
    "PENPAY_SMS_URL": "https://sms.example.com/version1/messaging",
    "PENPAY_SMS_USERNAME": "penpay",
    "PENPAY_SMS_API_KEY": "atsk",
    "PENPAY_SMTP_URL": "smtp://us:secret@mail.example.com",
    "PENPAY_MAIL_FROM": "Told@Pay.example",
}


def test_messages_are_carried_where_their_settings_are_whole() -> None:
    """None of them, or those of a channel together; an address in one spelling."""
    assert (None, None) == (load_settings(GIVEN).sms_url, load_settings(GIVEN).smtp_url)
    assert "told@pay.example" == load_settings({**GIVEN, **CARRIERS}).mail_from
    for missing, told in {
        "PENPAY_SMS_URL": "SMS_API_KEY",
        "PENPAY_SMS_API_KEY": "SMS_API_KEY",
        "PENPAY_SMTP_URL": "MAIL_FROM",
        "PENPAY_MAIL_FROM": "MAIL_FROM",
    }.items():
        (fault,) = faults({**GIVEN, **{name: value for name, value in CARRIERS.items() if name != missing}})
        assert told in fault
        assert fault.endswith("given together or not at all")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PENPAY_SMS_URL", "sms.example.com"),
        ("PENPAY_SMS_URL", "ftp://sms.example.com"),
        ("PENPAY_SMS_URL", "https://sms.example.com:0/"),
        ("PENPAY_SMTP_URL", "mail.example.com:587"),
        ("PENPAY_SMTP_URL", "https://mail.example.com"),
        ("PENPAY_SMTP_URL", "smtp://us:secret@"),
        ("PENPAY_SMTP_URL", "smtp://us:secret@mail.example.com:99999"),
        ("PENPAY_MAIL_FROM", "nobody"),
    ],
)
def test_an_address_of_a_carrier_that_cannot_be_is_refused(name: str, value: str) -> None:
    """Without the value, which may hold a password."""
    (fault,) = faults({**GIVEN, **CARRIERS, name: value})

    assert fault.startswith(name)
    assert "secret" not in fault


@pytest.mark.parametrize(
    ("name", "value"), [("PENPAY_SMS_URL", "http://127.0.0.1:1/"), ("PENPAY_SMTP_URL", "smtp+plain://127.0.0.1:1")]
)
def test_messages_travel_encrypted_in_production(name: str, value: str) -> None:
    """They hold numbers and addresses."""
    assert load_settings({**GIVEN, **CARRIERS, name: value})
    (fault,) = faults({**GIVEN, **CARRIERS, name: value, "APP_ENV": "production"})

    assert f"SETTINGS: {name} must be encrypted in production" == fault


def test_results_come_beside_the_callbacks_of_pushes_unless_they_are_set() -> None:
    """One public address is enough; another gateway may take the Results."""
    settings = load_settings(GIVEN)
    other = load_settings({**GIVEN, "MPESA_RESULT_URL": "https://b2c.example.com/in/api/v1/callbacks/results"})

    assert "https://pay.example.com/api/v1/callbacks/results" == settings.result_base_url
    assert "https://pay.example.com/api/v1/callbacks/timeouts" == settings.timeout_base_url
    assert "https://b2c.example.com/in/api/v1/callbacks/results" == other.result_base_url
    assert "https://pay.example.com/api/v1/callbacks/timeouts" == other.timeout_base_url


def test_our_own_number_pays_customers_unless_another_is_set() -> None:
    """Many businesses pay out from a number of its own."""
    assert "600996" == load_settings(GIVEN).b2c_short_code
    assert "600984" == load_settings({**GIVEN, "MPESA_B2C_SHORT_CODE": "600984"}).b2c_short_code


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("MPESA_INITIATOR_NAME", "MPESA_INITIATOR_NAME and MPESA_INITIATOR_PASSWORD"),
        ("MPESA_INITIATOR_PASSWORD", "MPESA_INITIATOR_NAME and MPESA_INITIATOR_PASSWORD"),
        ("MPESA_CERTIFICATE", "MPESA_INITIATOR_NAME and MPESA_CERTIFICATE"),
    ],
)
def test_an_initiator_is_whole(missing: str, told: str) -> None:
    """A name without its password or certificate would be found out when somebody is to be paid."""
    (fault,) = faults({**GIVEN, **{name: value for name, value in INITIATOR.items() if name != missing}})

    assert f"SETTINGS: {told} are given together or not at all" == fault


def test_callbacks_come_from_safaricom_and_outside_production_from_here() -> None:
    """The sandbox on this machine may call back; in production nobody here may."""
    ours = load_settings(GIVEN).callback_networks
    real = load_settings({**GIVEN, "APP_ENV": "production"}).callback_networks

    def allowed(address: str, networks: object) -> bool:
        return any(ip_address(address) in network for network in networks)  # type: ignore[attr-defined]  # networks

    assert 12 == len(real)
    assert allowed("196.201.212.138", real)
    assert not allowed("127.0.0.1", real)
    assert allowed("127.0.0.1", ours)
    assert allowed("::1", ours)
    assert not allowed("10.0.0.1", ours)


def test_proxies_are_networks() -> None:
    """Trusted proxies are given as addresses or networks, with blanks if one likes."""
    settings = load_settings({**GIVEN, "PENPAY_TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.7"})

    assert ["10.0.0.0/8", "192.0.2.7/32"] == [str(network) for network in settings.trusted_proxy_networks]
    assert () == load_settings(GIVEN).trusted_proxy_networks


def test_keys_come_out_as_keys() -> None:
    """The ring seals with its first key, and each purpose has a key of its own."""
    settings = load_settings(GIVEN)

    assert "k1" == settings.key_ring.active_id
    assert settings.derived_key(KeyPurpose.DIGEST) != settings.derived_key(KeyPurpose.PATH_TOKEN)


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the process was given wins over the file beside it, and the file over the default."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite:///file.db\nAPP_ENV=testing\n", encoding="utf-8")
    monkeypatch.delenv("APP_ENV", raising=False)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///environment.db")

    settings = load_database_settings()

    assert "sqlite+aiosqlite:///environment.db" == settings.database_url
    assert AppEnv.TESTING is settings.app_env
