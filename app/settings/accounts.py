"""Settings of accounts, which `app.settings` includes."""

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, PositiveInt, field_validator, model_validator
from pydantic_settings import BaseSettings

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
# Not HS256 and its like: their key is known to who verifies, and our own tokens have it.
PUBLIC_KEY_ALGORITHMS = {
    *(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)),
    "EdDSA",
}


class AccountSettings(BaseSettings):
    access_token_seconds: PositiveInt = Field(900, description="lifetime of an access token")
    refresh_token_days: PositiveInt = Field(30, description="lifetime of an unused refresh token")
    refresh_overlap_seconds: Annotated[float, Field(ge=0, le=600)] = Field(
        30.0,
        description="how long a replaced refresh token remains valid, for tabs that renew concurrently and "
        "lost responses; `0` disables it",
    )
    sign_in_tries: PositiveInt = Field(
        5, description="wrong passwords for an account from an address, then one every 30 seconds"
    )
    sign_in_tries_per_address: PositiveInt = Field(
        50, description="wrong passwords from an address for all accounts, then one every 6 seconds"
    )
    oidc_issuer: str | None = Field(
        None,
        description="`https://…` of an OIDC provider whose access tokens sign its users in: see "
        "[integrate.md](integrate.md)",
    )
    oidc_audience: str | None = Field(
        None, description="audience that the issuer's tokens must have; required with `OIDC_ISSUER`"
    )
    oidc_source: str = Field("oidc", description="source of the members that the issuer's tokens name")
    oidc_roles_claim: str | None = Field(
        None,
        description="claim with the member's roles, `CURATOR` or `ADMIN`, as `realm_access.roles`; unset: "
        "the role that `setRole` gave",
    )
    oidc_algorithms: str = Field(
        "RS256,PS256,ES256,EdDSA",
        description="comma-separated algorithms of signatures that the issuer's tokens may have",
    )
    oidc_clock_skew_seconds: Annotated[int, Field(ge=0, le=600)] = Field(
        60, description="tolerated difference between the clocks of the issuer and the service"
    )
    oidc_keys_seconds: Annotated[int, Field(ge=10, le=86_400)] = Field(
        300,
        description="how long the issuer's keys are cached; a new key is also fetched when a token names it",
    )

    @model_validator(mode="after")
    def _require_a_sound_issuer(self) -> Self:
        if self.oidc_issuer is None:
            return self
        if not self.oidc_audience:
            raise ValueError("OIDC_AUDIENCE must be set when OIDC_ISSUER is set")
        address = urlsplit(self.oidc_issuer)
        if address.scheme != "https" and not (address.scheme == "http" and address.hostname in LOOPBACK):
            raise ValueError("OIDC_ISSUER must be an https address")
        return self

    @field_validator("oidc_source")
    @classmethod
    def _require_a_source(cls, value: str) -> str:
        if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", value) is None:
            raise ValueError("OIDC_SOURCE must have 1 to 64 lower-case letters, digits and `.`, `_`, `-`")
        return value

    @field_validator("oidc_algorithms")
    @classmethod
    def _require_public_keys(cls, value: str) -> str:
        unknown = {part.strip() for part in value.split(",")} - PUBLIC_KEY_ALGORITHMS
        if unknown:
            allowed = ", ".join(sorted(PUBLIC_KEY_ALGORITHMS))
            raise ValueError(f"OIDC_ALGORITHMS may name {allowed}")
        return value

    @property
    def oidc_algorithm_names(self) -> frozenset[str]:
        return frozenset(part.strip() for part in self.oidc_algorithms.split(","))
