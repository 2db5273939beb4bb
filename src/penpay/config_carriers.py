"""The settings of whoever carries messages to users; all may be missing, and then the messages are kept."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from penpay.domain.shared.email import Email
from penpay.domain.shared.errors import InvalidEmail

_PLAIN: Final = frozenset({"http", "smtp+plain"})
"""What would let a number, an address or a password be read on the way."""


class CarrierSettings(BaseModel):
    """Part of `config.Settings`, which says in which environment this is."""

    sms_url: str | None = Field(None, validation_alias="PENPAY_SMS_URL")
    sms_username: str | None = Field(None, validation_alias="PENPAY_SMS_USERNAME")
    sms_api_key: SecretStr | None = Field(None, validation_alias="PENPAY_SMS_API_KEY")
    sms_from: str | None = Field(None, validation_alias="PENPAY_SMS_FROM", max_length=20)
    smtp_url: SecretStr | None = Field(None, validation_alias="PENPAY_SMTP_URL")
    mail_from: str | None = Field(None, validation_alias="PENPAY_MAIL_FROM")

    @field_validator("sms_url")
    @classmethod
    def _sms_address(cls, value: str | None) -> str | None:
        return value if value is None else _address(value, ("https", "http"))

    @field_validator("smtp_url")
    @classmethod
    def _smtp_address(cls, value: SecretStr | None) -> SecretStr | None:
        return (
            value if value is None else SecretStr(_address(value.get_secret_value(), ("smtp", "smtps", "smtp+plain")))
        )

    @field_validator("mail_from")
    @classmethod
    def _sender(cls, value: str | None) -> str | None:
        try:
            return value if value is None else Email.parse(value).address
        except InvalidEmail:
            raise ValueError("is not an e-mail address") from None

    @model_validator(mode="after")
    def _whole_carriers(self) -> Self:
        if len({self.sms_url is None, self.sms_username is None, self.sms_api_key is None}) > 1:
            raise ValueError(
                "PENPAY_SMS_URL, PENPAY_SMS_USERNAME and PENPAY_SMS_API_KEY are given together or not at all"
            )
        if (self.smtp_url is None) is not (self.mail_from is None):
            raise ValueError("PENPAY_SMTP_URL and PENPAY_MAIL_FROM are given together or not at all")
        return self

    @property
    def plain_carriers(self) -> tuple[str, ...]:
        """The settings by which messages would travel unencrypted."""
        smtp = None if self.smtp_url is None else self.smtp_url.get_secret_value()
        given = (("PENPAY_SMS_URL", self.sms_url), ("PENPAY_SMTP_URL", smtp))
        return tuple(name for name, url in given if url is not None and urlsplit(url).scheme in _PLAIN)


def _address(value: str, schemes: Collection[str]) -> str:
    """The address, of a host by one of these schemes, with a port of 1 to 65535 if any; raises ValueError."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        port, parts = 0, None
    if parts is None or not parts.hostname or parts.scheme not in schemes or port == 0:
        raise ValueError(f"must be an address beginning with {' or '.join(f'{one}://' for one in schemes)}")
    return value
