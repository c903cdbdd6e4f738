"""The identity provider of people: OpenID Connect Core 1.0, authorization code with PKCE.

What the provider says is believed only after its signature, issuer, audience, time and
nonce were checked (section 3.1.3.7). Its keys are kept, and asked for again when a token
names one that is not known, but not more often than now and then.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, unquote

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from reconcile.errors import NotAuthorised, ServiceUnavailable
from reconcile.flows.people import Claims, People

#: Signatures by keys that only the provider has; no "none", no shared secret.
ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "EdDSA",
)
TIMEOUT_SECONDS = 5
#: Clocks differ.
LEEWAY_SECONDS = 60
KEYS_ARE_KEPT_SECONDS = 3600
_NOT_ASKED_AGAIN_SECONDS = 30
_DISCOVERY = "/.well-known/openid-configuration"
_NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True)
class Client:
    """What this archive is to the provider.

    Attributes:
        secret_file: of a confidential client; read anew at each use. Empty: a public one.
        audience: that a bearer token has to be meant for; empty: none is taken.
    """

    issuer: str
    client_id: str
    secret_file: str = ""
    audience: str = ""
    scope: str = "openid profile"

    @property
    def secret(self) -> str | None:
        """The secret, where there is one."""
        if not self.secret_file:
            return None
        return Path(self.secret_file).read_text(encoding="utf-8").strip()


@dataclass(frozen=True, slots=True)
class Login:
    """What has to come back from the provider, and which page to go on to then.

    The browser of whoever is on the way keeps it; nobody else's knows it.
    """

    state: str
    nonce: str
    verifier: str
    target: str

    @classmethod
    def begin(cls, target: str) -> Login:
        """A new one."""
        state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
        return cls(state, nonce, verifier, target)

    @classmethod
    def of_text(cls, text: str) -> Login | None:
        """The login of a text that was made here; None: it was not."""
        try:
            state, nonce, verifier, target = text.split(".", 3)
        except ValueError:
            return None
        return cls(state, nonce, verifier, unquote(target))

    def __str__(self) -> str:
        return ".".join((self.state, self.nonce, self.verifier, quote(self.target, "")))


@dataclass
class Provider:
    """The provider as it describes itself; asked when it is first needed."""

    client: Client
    _described: dict[str, Any] = field(default_factory=dict)
    _keys: KeySet | None = None
    _asked_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def address(self, login: Login, redirect: str) -> str:
        """Where a person is to go to say who they are.

        Raises:
            ServiceUnavailable: the provider is away, or is not the one that was configured.
        """
        with self._session(redirect) as session:
            address, _ = session.create_authorization_url(
                self._description()["authorization_endpoint"],
                state=login.state,
                nonce=login.nonce,
                code_verifier=login.verifier,
            )
        return str(address)

    def claims(self, code: str, login: Login, redirect: str) -> Mapping[str, Any]:
        """What the provider says of whoever comes back with a code.

        Raises:
            NotAuthorised: it does not know the code, or what it says does not hold.
            ServiceUnavailable: it is away.
        """
        try:
            with self._session(redirect) as session:
                told = session.fetch_token(
                    self._description()["token_endpoint"],
                    code=code,
                    code_verifier=login.verifier,
                    grant_type="authorization_code",
                )
        except requests.RequestException as error:
            raise _away() from error
        except AuthlibBaseError as error:
            raise NotAuthorised("the identity provider refuses the login") from error
        said = self._verified(str(told.get("id_token", "")), self.client.client_id)
        if said.get("nonce") != login.nonce:
            raise NotAuthorised("the identity provider answers another login")
        return said

    def bearer(self, token: str) -> Mapping[str, Any]:
        """What a token says that somebody presents.

        Raises:
            NotAuthorised: it is not the provider's, not for us, or no longer valid.
            ServiceUnavailable: the provider's keys cannot be had.
        """
        if not self.client.audience:
            raise NotAuthorised("tokens are not taken here: [auth] oidc_audience")
        return self._verified(token, self.client.audience)

    def _verified(self, token: str, audience: str) -> Mapping[str, Any]:
        registry = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self.client.issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
        )
        for again in (False, True):
            try:
                said = jwt.decode(token, self._key_set(again), algorithms=ALGORITHMS)
                registry.validate(said.claims)
            except (JoseError, ValueError) as error:
                if again or not self._may_ask_again():
                    raise NotAuthorised("the token does not hold") from error
            else:
                return said.claims
        raise AssertionError

    def _key_set(self, again: bool) -> KeySet:
        with self._lock:
            age = time.monotonic() - self._asked_at
            if self._keys is None or again or age > KEYS_ARE_KEPT_SECONDS:
                found = _get(self._description()["jwks_uri"])
                try:
                    self._keys = KeySet.import_key_set(cast(KeySetSerialization, found))
                except (JoseError, ValueError, KeyError, TypeError) as error:
                    raise _away() from error
                self._asked_at = time.monotonic()
            return self._keys

    def _may_ask_again(self) -> bool:
        return time.monotonic() - self._asked_at > _NOT_ASKED_AGAIN_SECONDS

    def _description(self) -> dict[str, Any]:
        if not self._described:
            found = _get(self.client.issuer.rstrip("/") + _DISCOVERY)
            if found.get("issuer") != self.client.issuer or any(
                not isinstance(found.get(each), str) for each in _NEEDED
            ):
                raise ServiceUnavailable("the identity provider describes another issuer")
            self._described = found
        return self._described

    def _session(self, redirect: str) -> OAuth2Session:
        secret = self.client.secret
        return OAuth2Session(
            self.client.client_id,
            secret,
            scope=self.client.scope,
            redirect_uri=redirect,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            default_timeout=TIMEOUT_SECONDS,
        )


@dataclass(frozen=True, slots=True)
class Entrance:
    """How people come in: who says who they are, how it is read, and who is in."""

    provider: Provider
    claims: Claims
    people: People


def _get(address: str) -> dict[str, Any]:
    try:
        answer = requests.get(address, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        found = answer.json()
    except (requests.RequestException, ValueError) as error:
        raise _away() from error
    if not isinstance(found, dict):
        raise _away()
    return found


def _away() -> ServiceUnavailable:
    return ServiceUnavailable("the identity provider does not answer")
