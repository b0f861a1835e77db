"""No secret survives in any form it is likely to take; nothing else is touched."""

from __future__ import annotations

import base64
import html
import json
import string
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from conformance.target.redaction import ENDINGS, SECRET_FIELDS, Redactor

OWNER = "pk-owner-0123456789abcdef"
REDACTOR = Redactor([("owner", OWNER), ("other", "test")])

secrets = st.text(string.ascii_letters + string.digits + '-_./+=~&%"\\ü', min_size=16, max_size=60)
around = st.text(max_size=40)


def _forms(secret: str, before: str, after: str) -> dict[str, bytes]:
    plain = secret.encode()
    inside = (before + secret + after).encode("utf-8", "replace")
    return {
        "plain": plain,
        "json": json.dumps(secret).encode(),
        "json in json": json.dumps(
            json.dumps({"text": secret}, ensure_ascii=False), ensure_ascii=False
        ).encode(),
        "url": quote(secret, safe="").encode(),
        "form": quote_plus(secret).encode(),
        "html": html.escape(secret).encode(),
        "base64": base64.b64encode(plain),
        "base64 url": base64.urlsafe_b64encode(plain),
        "base64 of more": base64.b64encode(inside),
        "hex": plain.hex().encode(),
    }


@given(secrets, around, around)
def test_a_secret_survives_in_no_form(secret: str, before: str, after: str) -> None:
    """Wherever and however a known value is written in a body, that writing is gone afterwards."""
    redactor = Redactor([("owner", secret)])
    for name, form in _forms(secret, before, after).items():
        if name == "json in json" and ("\\" in secret or '"' in secret):
            continue
        body = before.encode("utf-8", "replace") + b" " + form + b" " + after.encode("utf-8", "replace")
        clean = redactor.body(body)
        assert b"[[owner]]" in clean, name
        if name not in ("base64 of more", "base64", "base64 url"):
            assert form not in clean, name
            assert secret.encode() not in clean, name
    inside = base64.b64encode((before + secret).encode("utf-8", "replace"))
    assert base64.b64encode(secret.encode())[4:-4] not in redactor.body(inside)


@given(secrets, around)
def test_a_secret_survives_in_no_place(secret: str, text: str) -> None:
    """Header values, URLs and lines of text lose it like bodies do."""
    assume(secret not in text)
    redactor = Redactor([("owner", secret)])
    headers = (
        ("x-echo", text + secret),
        ("Authorization", f"Bearer {secret}"),
        ("Cookie", f"a={secret}; b=1"),
    )
    assert secret not in repr([value for _, value in redactor.headers(headers)])
    assert secret not in redactor.url(f"http://h/{secret}?a={quote(secret, safe='')}")
    assert quote(secret, safe="") not in redactor.url(f"http://h/?a={quote(secret, safe='')}")
    assert secret not in redactor.text(f"{text} {secret}")


_WORDS = st.sampled_from(
    [
        "passed",
        "max_tokens",
        "token",
        "tokens",
        "keys",
        "monkey",
        "contest",
        "tested",
        "tester",
        "keyword",
        "secrets",
    ]
)


@given(st.dictionaries(_WORDS, st.one_of(st.integers(), st.booleans(), _WORDS, st.lists(_WORDS)), max_size=8))
def test_ordinary_words_survive(value: dict[str, object]) -> None:
    """Names and values that merely contain a secret word, or a short credential, stay as they are."""
    assume("test" not in json.dumps(value).split('"'))
    body = json.dumps(value).encode()
    assert REDACTOR.body(body) == body


@given(st.binary(max_size=300))
def test_what_holds_no_secret_stays_byte_for_byte(body: bytes) -> None:
    """Bytes of any kind pass unchanged when nothing in them is secret."""
    assume(b"test" not in body)
    assume(b":" not in body)
    assert REDACTOR.body(body) == body


@pytest.mark.parametrize("field", sorted(SECRET_FIELDS))
def test_fields_are_redacted_by_name(field: str) -> None:
    """A value in a field named like a credential is replaced, whatever it is; equal ones equally."""
    body = json.dumps({field: "some value", "other": "some value", field.upper(): "some value"}).encode()
    clean = json.loads(REDACTOR.body(body))
    assert clean["other"] == "some value"
    assert clean[field] == clean[field.upper()]
    assert clean[field].startswith("[[secret:")
    assert field.endswith(ENDINGS)


@pytest.mark.parametrize("value", [None, 5, True, "", ["a"], {"a": 1}, "sk-****abcd"])
def test_values_that_are_no_credential_keep_their_shape(value: object) -> None:
    """A check of types, null or masking sees what the target sent."""
    body = json.dumps({"key": value, "next": 1}).encode()
    assert REDACTOR.body(body) == body


@given(st.text(min_size=1, max_size=30), st.booleans())
def test_json_stays_json(value: str, nested: bool) -> None:
    """Redacting a field never breaks the document around it, also when JSON lies in a string."""
    document: object = {"before": [1.50, 10**30], "key": value, "after": "x\\"}
    if nested:
        document = {"payload": json.dumps(document), "after": 1}
    clean = json.loads(REDACTOR.body(json.dumps(document).encode()))
    if nested:
        clean = json.loads(clean["payload"])
    assert clean["after"] == "x\\"
    assert clean["before"] == [1.50, 10**30]
    assert clean["key"] == value or clean["key"].startswith("[[")


def test_a_body_cut_in_a_secret_field_shows_nothing_of_it() -> None:
    """A truncated document has no closing quote; its last value is redacted all the same."""
    assert b"sk-half" not in REDACTOR.body(b'{"id": 1, "api_key": "sk-half-of-a-k')


def test_what_a_target_hands_out_is_learned() -> None:
    """The secret of a created key is replaced from then on wherever it turns up, with one placeholder."""
    redactor = Redactor([("owner", OWNER)])
    made = "vk_live_9f8e7d6c5b4a3210"
    redactor.learn_from(json.dumps({"id": "key_1", "key": made}).encode())
    placeholder = redactor.placeholder(made)
    assert redactor.body(f'{{"key": "{made}", "note": "use {made}"}}'.encode()) == (
        f'{{"key": "{placeholder}", "note": "use {placeholder}"}}'.encode()
    )
    assert redactor.headers((("x-echo", made),)) == (("x-echo", placeholder),)


@pytest.mark.parametrize(
    "value", ["category", "a value with blanks in it", "sk-****************", "aaaaaaaaaaaaaaaaaaaa"]
)
def test_likely_words_are_not_learned(value: str) -> None:
    """A short, spoken or masked value of a field named key is hidden there and nowhere else."""
    redactor = Redactor([("owner", OWNER)])
    redactor.learn_from(json.dumps({"key": value}).encode())
    body = json.dumps({"text": value}).encode()
    assert redactor.body(body) == body


def test_workers_agree_and_executions_need_not() -> None:
    """Two workers of one target give equal values equal placeholders; another salt gives others."""
    one, two = Redactor([("owner", OWNER)]), Redactor([("owner", OWNER)])
    assert one.placeholder("learned") == two.placeholder("learned")
    assert one.placeholder("learned") != Redactor([("owner", OWNER)], salt=b"other").placeholder("learned")
    assert one.placeholder("learned") != one.placeholder("learned too")


def test_signed_links_lose_their_signature_only() -> None:
    """A download link stays a link; what opens it is gone."""
    body = b'{"signed_url": "https://b.example/f.gz?X-Amz-Date=1&X-Amz-Signature=abc123&a=b"}'
    clean = json.loads(REDACTOR.body(body))["signed_url"]
    assert "abc123" not in clean
    assert clean.startswith("https://b.example/f.gz?X-Amz-Date=1&X-Amz-Signature=%5B%5Bsecret")
    assert clean.endswith("&a=b")


def test_cookies_keep_name_and_attributes() -> None:
    """A check of cookie attributes still can be made."""
    ((_, value),) = REDACTOR.headers((("Set-Cookie", "session=abcdef; Path=/; HttpOnly"),))
    assert value.startswith("session=[[secret:")
    assert value.endswith("; Path=/; HttpOnly")


def test_a_secret_that_is_part_of_a_placeholder_does_no_harm() -> None:
    """Placeholders are not redacted again."""
    redactor = Redactor([("owner", "secret-owner-value-1"), ("other", "owner"), ("narrow", "secret")])
    assert redactor.body(b'{"key": "secret-owner-value-1", "a": "owner", "b": "secret"}') == (
        b'{"key": "[[owner]]", "a": "[[other]]", "b": "[[narrow]]"}'
    )


def test_overlapping_secrets_both_go() -> None:
    """Of a secret that begins like another, the longer is replaced whole."""
    redactor = Redactor([("owner", "pk-abcdefgh-1234"), ("other", "pk-abcdefgh-1234-5678")])
    assert redactor.text("pk-abcdefgh-1234-5678 pk-abcdefgh-1234") == "[[other]] [[owner]]"
