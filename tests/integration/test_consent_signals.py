"""The signal page and the command: who may, what they say, and that nothing is stored."""

import io
import json
import re
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client

from cdp.access.models import AuditEntry
from cdp.consent.models import ConsentRecord
from cdp.consent.signal_pages import EFFECTS, REASONS
from cdp.consent.signals.decode import signal_decode
from tests.signal_strings import AS_OF, tcf_string

PATH = "/admin/consent/signals/"


def staff(*codes: str) -> Client:
    user = User.objects.create_user("reader", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codes))
    client = Client()
    client.force_login(user)
    return client


def said(client: Client, status: int = 200, **form: str) -> str:
    answer = client.post(PATH, form)
    assert answer.status_code == status
    return " ".join(answer.content.decode().split())


@pytest.fixture
def officer(db: None) -> Client:
    return staff("view_consentrecord")


@pytest.mark.django_db
def test_only_who_may_see_consents() -> None:
    client = staff("view_profile")
    assert client.get(PATH).status_code == 403
    assert client.post(PATH, {"kind": "usp", "text": "1YNN"}).status_code == 403
    assert Client().post(PATH, {"kind": "usp", "text": "1YNN"})["Location"].startswith("/admin/login/")


def test_empty_and_linked(officer: Client) -> None:
    page = officer.get(PATH).content.decode()
    assert "No signal yet." in page
    assert "<script>" not in page.split('id="content"')[1]
    assert f'href="{PATH}"' in officer.get("/admin/consent/").content.decode()


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("tcf", tcf_string(policy=3), REASONS["policy_version_below_4"]),
        ("tcf", f" {tcf_string(policy=3)}\r\n", "counts as no consent"),
        ("gpp", "DBABLA~CVQVAAAAAABo.YA", "Not for ad audiences under US law."),
        ("gpp", "DBABLA~CVQqAAAAAABo.QA", "No US section speaks against advertising."),
        ("gpp", tcf_string(), "It holds no US section."),
        ("usp", "1YYN", "Opted out of sale."),
        ("usp", "1NNN", "No notice was given, so no sale."),
        ("usp", "1YNN", "Not opted out of sale."),
        ("usp", "1---", "Californian law does not apply"),
        ("gpc", "0\r\n1", "Opted out of sale and sharing."),
        ("gpc", "true", "it counts as absent"),
    ],
)
def test_what_it_says(officer: Client, kind: str, text: str, words: str) -> None:
    assert words in said(officer, kind=kind, text=text)
    assert not ConsentRecord.objects.exists()
    assert not AuditEntry.objects.exists()


def test_the_day_decides(officer: Client) -> None:
    text = tcf_string()
    assert "It can be relied on." in said(officer, kind="tcf", text=text, as_of="2026-11-23")
    assert REASONS["older_than_13_months"] in said(officer, kind="tcf", text=text, as_of="2027-12-03")


def test_why_it_cannot_be_read(officer: Client) -> None:
    page = said(officer, kind="tcf", text="<script>alert(1)</script>")
    assert "It cannot be read, so it grants nothing." in page
    assert "A segment is empty or holds a character outside" in page
    assert "&lt;script&gt;" in page
    assert "<script>alert(1)" not in page


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"kind": "tcf", "text": " "}, "Paste the string."),
        ({"kind": "usp", "text": "1YNN", "as_of": "x"}, "The moment is"),
    ],
)
def test_a_form_that_asks_nothing(officer: Client, form: dict[str, str], words: str) -> None:
    assert words in said(officer, 400, **form)


def test_every_reason_and_effect_has_its_words(officer: Client) -> None:
    source = Path("cdp/consent/signals/tcf_use.py").read_text(encoding="utf-8")
    assert set(re.findall(r'^ {8}"(\w+)":', source, re.MULTILINE)) == set(REASONS)
    for kind, text in (("gpp", "DBAA"), ("usp", "1YNN"), ("gpc", "1")):
        assert signal_decode(kind, text, AS_OF)["effects"].keys() <= EFFECTS.keys()  # type: ignore[union-attr,arg-type]
    assert "Ad audiences are allowed under US law" in said(officer, kind="gpp", text="DBAA")


# --- the command -----------------------------------------------------------------------------------------------------------


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("decode_signal", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_one_from_the_command_line() -> None:
    assert json.loads(command("--kind", "usp", "1YNN"))["effects"]["sale_opt_out"] is False
    assert json.loads(command("--kind", "tcf", tcf_string(), "--as-of", "2028-01-01"))["usable"] is False
    with pytest.raises(SystemExit) as ended:
        command("--kind", "tcf", "")
    assert ended.value.code == 1


def test_lines_from_a_file_and_from_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b'{"id": 1, "kind": "usp", "string": "1YNN"}\nnonsense\n\n{"id": 2, "kind": "gpc", "headers": ["1"]}'
    path = tmp_path / "signals.jsonl"
    path.write_bytes(lines)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    from_file = command("--jsonl", str(path))
    assert from_file == command("--jsonl")
    found = [json.loads(line) for line in from_file.splitlines()]
    assert [one["id"] for one in found] == [1, None, 2]
    assert (found[0]["valid"], found[1]["error"], found[2]["gpc"]) == (True, "bad_json", True)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["1YNN"],
        ["--kind", "usp"],
        ["--jsonl", "none.jsonl"],
        ["--jsonl", "--kind", "usp"],
        ["--jsonl", "--as-of", "x"],
    ],
)
def test_what_it_cannot_do(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        command(*arguments)
