"""The configuration: what is documented is taken, anything else is named and refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from reconcile.errors import ConfigurationError
from reconcile.settings import ROOT_DATA_DIR, Settings, digest, load

EXAMPLE = """\
[archive]
ae_title = "RECONCILE"
modifying_system = "RECONCILE"
domain = "E"
deidentified_domain = "D"
uid_root = "2.25"

[database]
url = "postgresql://writer:secret@db/reconcile"
owner_url = "postgresql+psycopg://owner:secret@db/reconcile"
reader_url = ""

[storage]
url = ""

[listen]
dicom = "127.0.0.1:11112"
hl7 = "[::1]:2575"
http = "127.0.0.1:8080"
dicom_tls = "0.0.0.0:2762"
hl7_tls = "0.0.0.0:2576"

[tls]
certificate = "server.pem"
key = "/keys/server.key"
ca = "ca.pem"
client = "required"

[auth]
oidc_issuer = ""
oidc_client_id = ""

[serve]
receivers = 0
accept_unknown = false
timezone = "Europe/Vienna"

[holds]
show = "separate"

[holds.codes]
DEMOGRAPHIC-CONFLICT = "hidden"

[[domain]]
name = "A"
universal_id = "1.2.3.1"
universal_id_type = "ISO"
aliases = ["HISA"]
temporary = false
test = false
reuse = false
fold_case = true
strip_zeros = false
pad_to = 8
check_digit = "luhn"
deny = ["UNKNOWN"]
gate = "off"
placeholder_names = ["UNKNOWN", "BABY BOY"]
placeholder_dates = ["19000101"]

[[domain]]
name = "B"

[[source]]
ae_title = "CT_A"
domain = "A"
coerce = true
warn = true
accession_issuer = "A"
charset = "ISO_IR 100"
bare_id = "accept"
deidentified = "separate"
address = "192.0.2.0/24"
cx_in_patient_id = false

[[source]]
ae_title = "CT_B"
query = false

[[feed]]
application = "RIS_A"
facility = ""
authority = ["A", "E"]
accession_issuer = "A"
profile = "lenient"
held_answer = "AA"
a47_as_merge = false
risky_merge = "execute"
a24_same_person = false
a37_unmerges = false

[[destination]]
ae_title = "VIEWER"
host = "127.0.0.1"
port = 11113
domain = "A"
on_correction = "task"
availability = true

[mail]
host = "smtp"
port = 587
sender = "archive@example.org"
starttls = true
user = "archive"
password_file = "mail.password"

[[notify]]
name = "chat"
url = "https://chat.example.org:8443/hooks?room=1"
secret_file = "chat.secret"
on = ["hold", "message", "review", "study-received", "study-changed"]
codes = ["NO-IDENTITY"]
after = 15
repeat = 60

[[notify]]
name = "administrators"
mail = "pacs@example.org"
on = ["hold"]
"""

MAIL = "[mail]\nhost='h'\nsender='a@b'\n"
NOTIFY = "[[notify]]\nname='n'\non=['hold']\n"


def read(folder: Path, text: str, **env: str) -> Settings:
    path = folder / "reconcile.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, folder, env)


def refusal(folder: Path, text: str, **env: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        read(folder, text, **env)
    return str(refused.value)


def test_every_documented_key_is_taken(tmp_path: Path) -> None:
    """What the documentation shows can be written."""
    settings = read(tmp_path, EXAMPLE)
    assert settings.domain[0].aliases == ("HISA",)
    assert settings.holds.codes == {"DEMOGRAPHIC-CONFLICT": "hidden"}
    assert settings.source[1].query is False
    assert settings.feed[0].authority == ("A", "E")
    assert settings.destination[0].port == 11113
    assert settings.notify[0].on[3:] == ("study-received", "study-changed")


def test_nothing_configured_is_a_configuration(tmp_path: Path) -> None:
    """Every table and key has a default, and the defaults reach this machine only."""
    settings = load(None, tmp_path, {})
    assert settings.listen.dicom == "127.0.0.1:11112"
    assert settings.database.url == ""
    assert settings.http_is_loopback


def test_settings_survive_json(tmp_path: Path) -> None:
    """They go to other processes as JSON, and are the same there."""
    settings = read(tmp_path, EXAMPLE)
    again = Settings.model_validate(json.loads(settings.model_dump_json()))
    assert again == settings


def test_settings_are_frozen(tmp_path: Path) -> None:
    """What was validated at start stays as it was."""
    settings = load(None, tmp_path, {})
    with pytest.raises(ValidationError):
        settings.archive.ae_title = "OTHER"  # type: ignore[misc]


def test_a_database_url_names_the_driver(tmp_path: Path) -> None:
    """Any spelling of a PostgreSQL URL is read as psycopg's."""
    settings = read(tmp_path, EXAMPLE)
    assert settings.database.url == "postgresql+psycopg://writer:secret@db/reconcile"


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    """Settings may be printed."""
    shown = repr(read(tmp_path, EXAMPLE))
    assert "writer:secret" not in shown
    assert "room=1" not in shown  # some webhooks are known by nothing but their address


def test_tls_files_are_beside_the_configuration(tmp_path: Path) -> None:
    """A relative path means the same wherever the archive is started."""
    settings = read(tmp_path, EXAMPLE)
    assert settings.tls.certificate == str(tmp_path / "server.pem")
    assert settings.tls.key == "/keys/server.key"
    assert settings.mail.password_file == str(tmp_path / "mail.password")
    files = [each.secret_file for each in settings.notify]
    assert files == [str(tmp_path / "chat.secret"), ""]


WRONG = [
    # text, line, what the message names
    ("[archive]\nae_titel = 'X'\n", 2, ["[archive] ae_titel", "ae_title, deidentified"]),
    ("[archiv]\n", 1, ["[archiv]", "archive, audit, auth, database"]),
    ("data_dir = '/x'\n", 1, ["data_dir", "one of archive"]),
    ("[archive]\n\nae_title = 'SEVENTEEN_LETTERS'\n", 3, ["1 to 16"]),
    ("[archive]\nae_title = ''\n", 2, ["1 to 16"]),
    ("[archive]\nuid_root = '1.02'\n", 2, ["a UID root"]),
    ("[archive]\ndomain = 'H'\n", 2, ["built in"]),
    ("[archive]\ndomain = 'D'\n", 1, ["deidentified_domain"]),
    ("[serve]\nreceivers = '2'\n", 2, ["a whole number"]),
    ("[serve]\nreceivers = -1\n", 2, ["at least 0"]),
    ("[serve]\naccept_unknown = 'yes'\n", 2, ["true or false"]),
    ("[serve]\ntimezone = 'Mars/Base'\n", 2, ["Europe/Vienna"]),
    ("[holds]\nshow = 'maybe'\n", 2, ["'separate' or 'hidden'"]),
    ("[holds.codes]\nUNDONE = 'maybe'\n", 2, ["[holds] codes.UNDONE", "'hidden'"]),
    ("[listen]\ndicom = '11112'\n", 2, ["HOST:PORT"]),
    ("[listen]\nhl7 = 'localhost:99999'\n", 2, ["65535"]),
    ("[listen]\nhl7 = '127.0.0.1:8080'\n", 1, ["[listen] http", "no other door"]),
    ("[listen]\ndicom_tls = '0.0.0.0:2762'\n", 2, ["[tls] certificate and key"]),
    (
        "[listen]\nhl7_tls='h:1'\n[tls]\nkey='k'\ncertificate='c'\nclient='required'\n",
        6,
        ["[tls] client", "`ca`"],
    ),
    ("[database]\nurl = 'mysql://x'\n", 2, ["postgresql://"]),
    ("[storage]\nurl = 'ftp://x'\n", 2, ["file:///"]),
    ("[limits]\nmax_associations = 0\n", 2, ["at least 1"]),
    ("[[domain]]\nuniversal_id = '1.2'\n", 1, ["[[domain]] name", "left out"]),
    ("[[domain]]\nname = 'A^B'\n", 2, ["1 to 64"]),
    ("[[domain]]\nname = 'H'\n", 2, ["no other domain"]),
    ("[[domain]]\nname='A'\n\n[[domain]]\n# twice\nname='A'\n", 6, ["not named before"]),
    ("[[domain]]\nname='A'\n[[domain]]\nname='B'\naliases=['A']\n", 5, ["aliases"]),
    ("[[domain]]\nname='A'\nplaceholder_dates=['1900']\n", 3, ["YYYYMMDD"]),
    ("[[source]]\nae_title='X'\n[[source]]\nae_title='Y'\ncoerce=1\n", 5, ["true or"]),
    ("[[source]]\nae_title='X'\ndomain='Z'\n", 3, ["name of a [[domain]]: D, E"]),
    ("[[source]]\nae_title='X'\n[[source]]\nae_title='X'\n", 4, ["[[source]] ae_title"]),
    ("[[source]]\nae_title='X'\naddress='here'\n", 3, ["an IP address"]),
    ("[[feed]]\napplication='R'\nauthority=['E','Q']\n", 3, ["[[feed]] authority"]),
    ("[[feed]]\napplication='R'\nauthority='E'\n", 3, ["a list"]),
    ("[[destination]]\nae_title='V'\nhost='h'\nport=0\n", 4, ["at least 1"]),
    ("[[destination]]\nae_title='V'\nhost='h'\nport=1\ndomain='Q'\n", 5, ["[[domain]]"]),
    (NOTIFY, 2, ["[[notify]] name", "either `url` or `mail`"]),
    (NOTIFY + "url='http://h/'\nmail='a@b'\n" + MAIL, 2, ["either `url` or `mail`"]),
    (NOTIFY + "mail='a@b'\n", 4, ["[mail] host and sender"]),
    (NOTIFY + "mail='nobody'\n", 4, ["an address such as"]),
    (NOTIFY + "url='ftp://h/'\n", 4, ["http://HOST/PATH"]),
    (NOTIFY + "url='https://u:hunter2@h/'\n", 4, ["without user and password"]),
    (NOTIFY + "url='https://h:99999/'\n", 4, ["http://HOST/PATH"]),
    (NOTIFY + "url='https://h/a b'\n", 4, ["http://HOST/PATH"]),
    (NOTIFY + "url='http://h/'\n" + NOTIFY, 6, ["not named before"]),
    (NOTIFY + "mail='a@b'\nsecret_file='s'\n" + MAIL, 5, ["secret_file", "`url`"]),
    ("[[notify]]\nname='n'\nurl='http://h/'\non=[]\n", 4, ["a list that is not empty"]),
    ("[[notify]]\nname='n'\nurl='http://h/'\non=['all']\n", 4, ["'study-changed'"]),
    (NOTIFY + "url='http://h/'\nafter=-1\n", 5, ["at least 0"]),
    (MAIL + "user='u'\n", 4, ["`password_file`"]),
    (MAIL + "user='u'\npassword_file='p'\nstarttls=false\n", 6, ["[mail] starttls"]),
    (
        "[[destination]]\nae_title='n'\nhost='h'\nport=1\navailability=true\n"
        + NOTIFY
        + "url='http://h/'\n",
        7,
        ["no [[destination]]"],
    ),
]


@pytest.mark.parametrize(("text", "line", "named"), WRONG)
def test_a_wrong_place_is_named(
    text: str, line: int, named: list[str], tmp_path: Path
) -> None:
    """File, line, key and what is allowed."""
    message = refusal(tmp_path, text)
    assert message.startswith(f"{tmp_path / 'reconcile.toml'}, line {line}, ")
    assert all(each in message for each in named), message
    assert "\n" not in message


def test_a_wrong_secret_is_not_repeated(tmp_path: Path) -> None:
    """A message says what is allowed, never what was there."""
    assert "hunter2" not in refusal(tmp_path, "[database]\nurl = 'x://u:hunter2@h'\n")


def test_broken_toml_is_named_with_its_line(tmp_path: Path) -> None:
    """A file that is no TOML is refused as a file."""
    assert "line 2" in refusal(tmp_path, "[archive]\nae_title = \n")


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    """A misspelt --config does not mean the defaults."""
    with pytest.raises(ConfigurationError, match="No such file"):
        load(tmp_path / "absent.toml", tmp_path, {})


def test_environment_stands_above_the_file(tmp_path: Path) -> None:
    """RECONCILE_DATABASE_URL and its like win over the file."""
    settings = read(tmp_path, EXAMPLE, RECONCILE_DATABASE_URL="postgresql://w@other/r")
    assert settings.database.url == "postgresql+psycopg://w@other/r"
    assert "owner" in settings.database.owner_url


def test_a_wrong_environment_variable_is_named(tmp_path: Path) -> None:
    """The variable is named, not a line of a file that says nothing about it."""
    message = refusal(tmp_path, EXAMPLE, RECONCILE_DATABASE_URL="oracle://x")
    assert message.startswith("environment variable RECONCILE_DATABASE_URL, ")


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    """RECONCILE_DATABASE_URL_FILE: what the file holds, without the line's end."""
    (tmp_path / "url").write_text("postgresql://w:p@db/r\n", encoding="utf-8")
    env = {"RECONCILE_DATABASE_URL_FILE": str(tmp_path / "url")}
    assert load(None, tmp_path, env).database.url == "postgresql+psycopg://w:p@db/r"


def test_folder_and_file_by_precedence(tmp_path: Path) -> None:
    """Command line, then environment, then the usual places."""
    named, usual = tmp_path / "named.toml", tmp_path / "data" / "reconcile.toml"
    usual.parent.mkdir()
    named.write_text("[archive]\nae_title = 'NAMED'\n", encoding="utf-8")
    usual.write_text("[archive]\nae_title = 'USUAL'\n", encoding="utf-8")
    env = {"RECONCILE_DATA_DIR": str(usual.parent)}
    assert load(None, None, env).archive.ae_title == "USUAL"
    assert load(None, None, env).data_dir == usual.parent
    assert load(None, tmp_path, env).data_dir == tmp_path
    env["RECONCILE_CONFIG"] = str(named)
    assert load(None, None, env).archive.ae_title == "NAMED"
    assert load(usual, None, env).archive.ae_title == "USUAL"


def test_default_data_folder() -> None:
    """Root's is the system's; a user's is where XDG says."""
    found = load(None, None, {"XDG_DATA_HOME": "/x"}).data_dir
    assert found == (ROOT_DATA_DIR if os.geteuid() == 0 else Path("/x/reconcile"))


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1:0", True),
        ("[::1]:8080", True),
        ("localhost:80", True),
        ("", True),
        ("0.0.0.0:80", False),
        ("archive.example:80", False),
    ],
)
def test_only_loopback_is_open_without_keys(
    address: str, loopback: bool, tmp_path: Path
) -> None:
    """A name that could mean any address is not loopback."""
    settings = read(tmp_path, f"[listen]\nhttp = '{address}'\n")
    assert settings.http_is_loopback is loopback


def test_digest_covers_what_decisions_depend_on(tmp_path: Path) -> None:
    """It changes with a domain's rule, and not with an address to listen on."""
    base = digest(read(tmp_path, EXAMPLE))
    assert len(base) == 64
    assert base == digest(read(tmp_path, EXAMPLE.replace("11112", "11114")))
    assert base != digest(read(tmp_path, EXAMPLE.replace("pad_to = 8", "pad_to = 9")))
