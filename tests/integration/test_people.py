"""People come in by their browser, through an identity provider that is not ours."""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

from reconcile.db.embedded import Urls
from reconcile.flows.people import Claims, People
from reconcile.web.openid import Client, Entrance, Provider
from reconcile.web.parts import Parts
from tests.support.archive import open_door
from tests.support.hospital import JANE, RICHARD, Hospital

with warnings.catch_warnings():
    # Of a library that it still uses.
    warnings.simplefilter("ignore")
    import oidc_provider_mock

WHO = "/api/v1/whoami"
MERGE = "/api/v1/patients/merge"
PAIR = {"surviving": "100^^^A", "prior": "200^^^A", "reason": "they are one"}
USERS = {
    "mia": {"preferred_username": "mia", "realm": {"roles": ["pacs-admin", "reader"]}},
    "otto": {"preferred_username": "otto", "realm": {"roles": ["auditor"]}},
    "nora": {"preferred_username": "nora", "realm": {"roles": ["cook"]}},
}
AUDIENCE = "archive"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    users = [oidc_provider_mock.User(sub=n, claims=c) for n, c in USERS.items()]
    with oidc_provider_mock.run_server_in_thread(user_claims=users) as server:
        yield f"http://localhost:{server.server_port}"


@dataclass
class Clock:
    """What time it is for the archive."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Door:
    """A door that people come in by."""

    url: str
    clock: Clock
    browsers: ExitStack

    def browser(self) -> httpx.Client:
        """One that keeps its cookies, and goes where it is sent."""
        opened = httpx.Client(base_url=self.url, follow_redirects=True, timeout=60)
        return self.browsers.enter_context(opened)

    def somebody(self, name: str) -> httpx.Client:
        """A browser in which somebody came in."""
        browser = self.browser()
        assert come_in(browser, name).status_code == 200
        return browser


@pytest.fixture
def door(issuer: str, database_urls: Urls, tmp_path: Path) -> Iterator[Door]:
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    hospital.patient(RICHARD, "200^^^A", "E2^^^E")
    clock = Clock()
    claims = Claims(roles="realm.roles", granted_by={"steward": ("pacs-admin",)})
    secret = tmp_path / "secret"
    secret.write_text("of the archive\n", encoding="utf-8")
    client = Client(issuer, "reconcile", str(secret), audience=AUDIENCE)
    provider = Provider(client)
    people = People(hospital.database, clock)
    parts = Parts(hospital.database, hospital.storage, hospital.rules, require_keys=False)
    parts = replace(parts, entrance=Entrance(provider, claims, people))
    with open_door(parts) as own, ExitStack() as browsers:
        yield Door(str(own.base_url).rstrip("/"), clock, browsers)
    hospital.database.close()


def come_in(browser: httpx.Client, name: str, to: str = WHO) -> httpx.Response:
    """Say at the provider who one is; the page that follows."""
    form = browser.get("/login", params={"to": to})
    assert form.url.path == "/oauth2/authorize"
    return browser.post(str(form.url), data={"sub": name})


def test_a_person_comes_in_acts_and_leaves(door: Door) -> None:
    """By the role that the claims give; the history names them."""
    mia = door.somebody("mia")
    assert mia.get(WHO).json() == {"name": "mia", "role": "steward", "sees_protected": True}
    here = {"Sec-Fetch-Site": "same-origin"}
    assert mia.post(MERGE, json=PAIR, headers=here).status_code == 201
    told = mia.get("/api/v1/patients", params={"identifier": "200^^^A"}).json()
    assert len(told["items"][0]["merges"]) == 1
    assert mia.post("/logout", headers=here, follow_redirects=False).status_code == 303
    assert mia.get(WHO).status_code == 401


def test_a_role_may_what_it_may(door: Door) -> None:
    """An auditor looks and changes nothing; who has no role here is not let in."""
    otto = door.somebody("otto")
    assert otto.get("/api/v1/messages").status_code == 200
    here = {"Sec-Fetch-Site": "same-origin"}
    assert otto.post(MERGE, json=PAIR, headers=here).status_code == 403
    nora = door.browser()
    assert come_in(nora, "nora").status_code == 403
    assert nora.get(WHO).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://elsewhere.example"},
    ],
)
def test_another_sites_page_changes_nothing(door: Door, headers: dict[str, str]) -> None:
    """A browser sends the cookie along whoever made it ask (CSRF)."""
    mia = door.somebody("mia")
    assert mia.post(MERGE, json=PAIR, headers=headers).status_code == 403
    mine = {"Origin": door.url}
    assert mia.post(MERGE, json=PAIR, headers=mine).status_code == 201


def test_without_a_session_a_page_leads_to_the_login(door: Door) -> None:
    """And back to the page that was wanted, never to another site; a program is told."""
    browser = door.browser()
    page = {"Accept": "text/html"}
    sent = browser.get(f"{WHO}?a=b", headers=page, follow_redirects=False)
    assert sent.status_code == 303
    assert sent.headers["location"] == "/login?to=/api/v1/whoami%3Fa%3Db"
    assert browser.get(WHO).status_code == 401
    for bad in ("https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere", "x"):
        ended = come_in(door.browser(), "mia", to=bad)
        assert str(ended.url) == f"{door.url}/"


def test_a_session_ends(door: Door) -> None:
    """By idleness after 30 minutes, by time after 8 hours however busy."""
    mia, otto = door.somebody("mia"), door.somebody("otto")
    for _ in range(20):
        door.clock.ahead += timedelta(minutes=25)
        assert mia.get(WHO).status_code == (
            200 if door.clock.ahead < timedelta(hours=8) else 401
        )
    assert otto.get(WHO).status_code == 401


def test_a_login_is_of_the_browser_that_began_it(door: Door) -> None:
    """A code in another's hands, a state that is none, or none at all opens nothing."""
    mia = door.browser()
    form = mia.get("/login", params={"to": WHO})
    back = mia.post(str(form.url), data={"sub": "mia"}, follow_redirects=False)
    callback = back.headers["location"]
    assert door.browser().get(callback).status_code == 403
    code = parse_qs(urlsplit(callback).query)["code"][0]
    wrong = {"code": code, "state": "another"}
    assert mia.get("/login/callback", params=wrong).status_code == 403
    assert mia.get("/login/callback").status_code == 403
    assert mia.get(callback).status_code == 200
    other = door.browser()
    form = other.get("/login", params={"to": WHO})
    state, nonce, rest = other.cookies["reconcile-login"].split(".", 2)
    back = other.post(str(form.url), data={"sub": "mia"}, follow_redirects=False)
    another = {"Cookie": f"reconcile-login={state}.{nonce[::-1]}.{rest}"}
    answer = httpx.get(back.headers["location"], headers=another)
    assert answer.status_code == 403
    assert "another login" in answer.text
    forged = httpx.Cookies({"reconcile-session": secrets.token_urlsafe(32)})
    with httpx.Client(base_url=door.url, cookies=forged) as other:
        assert other.get(WHO).status_code == 401


# -- Bearer tokens, signed by a key of the test's own provider ---------------------------


@contextmanager
def signing(monkeypatch: pytest.MonkeyPatch, issuer: str) -> Iterator[Callable[..., str]]:
    """What signs claims with the one key that the provider publishes."""
    key = RSAKey.generate_key(2048, {"kid": "one"})
    monkeypatch.setattr(Provider, "_key_set", lambda self, again: KeySet([key]))
    now = int(datetime.now(UTC).timestamp())
    good = {"iss": issuer, "aud": AUDIENCE, "exp": now + 300, "sub": "7"}
    good |= {"preferred_username": "bot", "realm": {"roles": ["reader"]}}

    def sign(
        header: dict[str, str] | None = None, by: RSAKey | OctKey = key, **claims: object
    ) -> str:
        said = {k: v for k, v in {**good, **claims}.items() if v is not None}
        return jwt.encode({"alg": "RS256", "kid": "one", **(header or {})}, said, by)

    yield sign


def test_a_token_of_the_provider_opens_and_no_other(
    door: Door, issuer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issuer, audience, time and signature have to hold."""
    past = int(datetime.now(UTC).timestamp()) - 3600
    with signing(monkeypatch, issuer) as sign, httpx.Client(base_url=door.url) as client:

        def status(token: str) -> int:
            return client.get(WHO, headers={"Authorization": f"Bearer {token}"}).status_code

        assert status(sign()) == 200
        assert status(sign(iss="https://elsewhere.example")) == 403
        assert status(sign(aud="another")) == 403
        assert status(sign(exp=past)) == 403
        assert status(sign(exp=None)) == 403
        assert status(sign(realm={"roles": []})) == 403
        assert status(sign(by=RSAKey.generate_key(2048, {"kid": "one"}))) == 403
        shared = OctKey.import_key(secrets.token_bytes(32))
        assert status(sign({"alg": "HS256"}, by=shared)) == 403
        assert status("a.b.c") == 403
