"""A target file is read exactly, and every mistake in it is one line that says key, value, and cure."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from conformance.contract import Contract
from conformance.contract.profiles import load_profiles
from conformance.errors import TargetFileError
from conformance.model import Credential, Plane
from conformance.target import Target, load_target, target_from, with_known_names
from conformance.target.loading import _KEYS
from conformance.target.profile import CAPABILITIES, ROLES

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "target.toml"
ENV = {
    "PORTKEY_API_KEY": "pk-owner-0123456789",
    "PORTKEY_VIRTUAL_KEY": "vk-virtual-0123456789",
    "PORTKEY_OTHER_KEY": "pk-other-0123456789",
    "PORTKEY_NARROW_KEY": "pk-narrow-0123456789",
    "PORTKEY_REVOKED_KEY": "pk-revoked-0123456789",
}
BASE = {"base_url": "https://gateway.example.com/v1"}


def _with_names(target: Target, contract: Contract) -> Target:
    return with_known_names(
        target,
        groups=contract.groups,
        operations=[operation.id for operation in contract.operations],
        profiles=load_profiles(contract),
    )


def test_the_commented_example_loads(portkey: Contract) -> None:
    """The example in the documentation is a valid file, and all its names are names of the contract."""
    target = _with_names(load_target(REFERENCE, env=ENV), portkey)
    assert target.name == "staging"
    assert target.base_url(Plane.CONTROL) == "https://admin.example.com/v1"
    assert target.credentials.names() == ("owner", "other", "narrow", "revoked")
    assert target.credentials.of(Credential.OWNER)[1] == ("x-portkey-virtual-key", ENV["PORTKEY_VIRTUAL_KEY"])
    assert not target.takes("Fine-tuning", "createFineTuningJob")
    assert target.takes("Chat", "createChatCompletion")
    assert set(target.models) == set(ROLES)
    assert target.capabilities == set(CAPABILITIES)


def test_the_commented_example_shows_every_key() -> None:
    """No key exists that the example does not show; its defaults are the defaults."""
    shown = tomllib.loads(REFERENCE.read_text("utf-8"))
    assert set(shown) == set(_KEYS)
    usual, full = target_from(BASE, env={}), load_target(REFERENCE, env=ENV)
    assert (full.timeouts, full.pace, full.concurrency, full.max_body_bytes, full.tls) == (
        (usual.timeouts, usual.pace, usual.concurrency, usual.max_body_bytes, usual.tls)
    )


def test_the_least_file_is_one_line() -> None:
    """Planes default from the base URL; nothing is allowed, nothing is offered, no key is sent."""
    target = target_from(BASE, env={})
    assert dict(target.base_urls) == {
        Plane.DATA: "https://gateway.example.com/v1",
        Plane.CONTROL: "https://gateway.example.com/v1",
        Plane.PUBLIC: "https://gateway.example.com",
    }
    assert not target.allow
    assert not target.capabilities
    assert not target.has(Credential.OWNER)
    assert target.has(Credential.ABSENT)
    assert target.lacking(["cost"]) == ("cost",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"base_url": None}, "base_url: missing"),
        ({"base_url": "gateway.example.com"}, "base_url: 'gateway.example.com' is not a URL"),
        ({"base_url": "ftp://x/v1"}, "http://host"),
        ({"base_url": "http://x:99999/"}, "not a URL"),
        ({"base_url": "https://user:pw@x/"}, "user name or password"),
        ({"base_url": "https://x/v1?a=1"}, "query or fragment"),
        ({"base_url": 5}, "base_url: is of type int"),
        ({"bas_url": "x"}, "did you mean 'base_url'"),
        ({"timeout": {"read": 5}}, "timeout: unknown key .*'timeouts'"),
        ({"timeouts": {"reed": 5}}, "timeouts.reed: unknown key .*'read'"),
        ({"timeouts": {"read": "5"}}, "timeouts.read: '5' is not allowed .*a number"),
        ({"timeouts": {"read": 0}}, "timeouts.read: 0 is not allowed"),
        ({"timeouts": {"read": float("nan")}}, "timeouts.read: nan is not allowed"),
        ({"timeouts": {"read": True}}, "timeouts.read: True is not allowed"),
        ({"timeouts": 5}, "timeouts: 5 is not a table"),
        ({"capabilities": ["streeming"]}, "capabilities: 'streeming' is not known .*'streaming'"),
        ({"capabilities": "streaming"}, "capabilities: 'streaming' is not a list"),
        ({"allow": ["everything"]}, "allow: 'everything' is not known .*destructive"),
        ({"allow": [1]}, "allow: .* is not a list of texts"),
        ({"concurrency": 0}, "concurrency: 0 is not allowed .*1 to 256"),
        ({"concurrency": 2.5}, "concurrency: 2.5 is not allowed"),
        ({"max_body_bytes": -1}, "max_body_bytes: -1 is not allowed"),
        ({"proxy": "socks5://x:1"}, "proxy: .*http://host:port"),
        ({"models": {"chta": "m"}}, "models.chta: unknown key .*'chat'"),
        ({"models": {"chat": ""}}, "models.chat: is empty"),
        ({"models": {"chat": ["m"]}}, "models.chat: is of type list"),
        ({"given": {"user": []}}, "given.user: is empty"),
        ({"credentials": {"admin": {"key": "abcdef"}}}, "credentials.admin: unknown key"),
        ({"credentials": {"absent": {"key": "abcdef"}}}, "credentials.absent: unknown key"),
        ({"credentials": {"owner": "abcdef"}}, "credentials.owner: is a text .*key ="),
        ({"credentials": {"owner": {}}}, "credentials.owner: names no header"),
        ({"credentials": {"owner": {"key": "abc"}}}, "shorter than 4 characters"),
        ({"credentials": {"owner": {"authorization": "Bearer abc"}}}, "shorter than 4 characters"),
        (
            {"credentials": {"owner": {"key": "abcd", "X-Portkey-Api-Key": "abcd"}}},
            "credentials.owner.key: given twice",
        ),
        ({"credentials": {"owner": {"key": "${NO_SUCH}"}}}, "owner.*NO_SUCH is not set"),
        ({"credentials": {"owner": {"key": "${EMPTY}"}}}, "owner.*EMPTY is empty"),
        ({"credentials": {"owner": {"key": "ab\ncd"}}}, "no header can carry"),
        ({"headers": {"bad name": "x"}}, "headers.bad name: is not a header name"),
        ({"headers": {"x": 5}}, "headers.x: is of type int"),
        ({"tls": {"ca": "missing.pem"}}, "tls.ca: no file 'missing.pem'"),
        ({"tls": {"verify": "no"}}, "tls.verify: 'no' is not allowed .*true or false"),
        ({"rate": {"per_second": -1}}, "rate.per_second: -1"),
        ({"budget": {"requests": 0}}, "budget.requests: 0 is not allowed"),
        ({"budget": {"money": 5}}, "budget.money: unknown key"),
        ({"include": {"group": ["Chat"]}}, "include.group: unknown key .*'groups'"),
    ],
)
def test_a_mistake_is_one_clear_line(change: dict[str, Any], said: str) -> None:
    """The error names the key, what is wrong with its value, and what is allowed."""
    table = {**BASE, **change}
    with pytest.raises(TargetFileError) as caught:
        target_from(
            {key: value for key, value in table.items() if value is not None},
            source="t.toml",
            env={"EMPTY": ""},
        )
    line = str(caught.value)
    assert line.startswith("t.toml: ")
    assert "\n" not in line
    assert re.search(said, line), line
    assert caught.value.exit_code == 2


def test_the_value_of_a_credential_is_in_no_message() -> None:
    """Neither errors nor representations nor the description print what is secret."""
    target = load_target(REFERENCE, env=ENV)
    printed = f"{target!r} {target} {json.dumps(target.describe())}"
    assert not [value for value in ENV.values() if value in printed]
    assert set(ENV.values()) <= set(target.secrets())
    with pytest.raises(TargetFileError) as caught:
        target_from({**BASE, "credentials": {"owner": {"key": "pk-secret\x07value"}}}, env={})
    assert "secret" not in str(caught.value).replace("secrets", "")


def test_secrets_are_what_is_secret_and_nothing_else() -> None:
    """Routing headers are no secrets, or words like openai would vanish from the evidence."""
    target = target_from(
        {
            **BASE,
            "headers": {"x-plain": "plain-value", "x-env": "${FROM_ENV}"},
            "credentials": {
                "owner": {"authorization": "Bearer sk-owner-1", "x-portkey-provider": "openai"},
                "other": {"key": "pk-other-1"},
            },
            "given": {"user": "user-1", "provider_key": "sk-upstream-1", "metadata_key": "environment"},
            "proxy": "http://me:pass-word-1@proxy.example:3128",
        },
        env={"FROM_ENV": "env-value-1"},
    )
    assert target.secrets() == ("sk-owner-1", "pk-other-1", "env-value-1", "sk-upstream-1", "pass-word-1")
    assert dict(target.named_secrets())["owner"] == "sk-owner-1"
    assert "pass-word" not in json.dumps(target.describe())


def test_bad_files_are_named_with_their_place(tmp_path: Path) -> None:
    """A missing, binary or malformed file is one line; TOML errors carry line and column."""
    with pytest.raises(TargetFileError, match="No such file"):
        load_target(tmp_path / "none.toml")
    file = tmp_path / "bad.toml"
    file.write_text('name = "x"\nbase_url = \n')
    with pytest.raises(TargetFileError, match="line 2, column"):
        load_target(file)
    file.write_bytes(b'name = "\xff"')
    with pytest.raises(TargetFileError, match="UTF-8"):
        load_target(file)


def test_paths_are_relative_to_the_file_and_its_name_is_the_default(tmp_path: Path) -> None:
    """A file with a certificate beside it works from any working directory."""
    (tmp_path / "ca.pem").write_text("x")
    file = tmp_path / "vendor-a.toml"
    file.write_text('base_url = "https://h/v1"\n[tls]\nca = "ca.pem"\n')
    target = load_target(file)
    assert target.tls.ca == str(tmp_path / "ca.pem")
    assert target.name == "vendor-a"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"profile": "inferense"}, "profile: 'inferense' is not known .*'inference'"),
        ({"include": {"groups": ["Chats"]}}, "include.groups: 'Chats' is not known .*'Chat'"),
        (
            {"exclude": {"operations": ["createRunn"]}},
            "exclude.operations: 'createRunn' is not known .*'createRun'",
        ),
    ],
)
def test_names_are_those_of_the_contract(portkey: Contract, change: dict[str, Any], said: str) -> None:
    """A profile, group or operation that the contract does not have is an error with the nearest name."""
    with pytest.raises(TargetFileError, match=said):
        _with_names(target_from({**BASE, **change}, env={}), portkey)


def test_groups_may_be_written_as_slugs(portkey: Contract) -> None:
    """Case and punctuation of a group do not matter; what is stored is the contract's spelling."""
    written = {**BASE, "include": {"groups": ["workspaces-members", "CHAT"], "operations": ["createRun"]}}
    target = _with_names(target_from(written, env={}), portkey)
    assert target.selection.include_groups == {"Workspaces > Members", "Chat"}
    assert target.takes("Assistants", "createRun")
    assert not target.takes("Assistants", "getRun")


def test_an_announcement_allows_everything() -> None:
    """The embedded reference gateway may be exercised in full, with the keys it announced."""
    target = Target.from_announcement(
        {
            "base_urls": {"data": "http://127.0.0.1:1/v1"},
            "credentials": {"owner": {"x-portkey-api-key": "pk-announced"}, "revoked": "pk-revoked"},
            "models": {"chat": "reference-chat", "of-no-role": "x"},
            "given": {"user": "u", "disposable_models": ["a", "b"]},
            "capabilities": ["streaming", "something else"],
        }
    )
    assert target.embedded
    assert not target.lacking(["cost", "destructive", "side-effects", "undocumented-methods"])
    assert target.base_url(Plane.PUBLIC) == "http://127.0.0.1:1"
    assert target.credentials.of(Credential.REVOKED) == (("x-portkey-api-key", "pk-revoked"),)
    assert target.given_lists == {"disposable_models": ("a", "b")}
    assert target.capabilities == {"streaming"}


def test_profiles_leave_nothing_out_and_ask_for_what_they_need(portkey: Contract) -> None:
    """Planes and profiles agree, and no profile can be claimed without what its operations need."""
    profiles = load_profiles(portkey)
    assert set(profiles) == {"all", "data-plane", "inference", "assistants", "admin"}
    held = {
        name: {operation.id for operation in portkey.operations if profile.holds(operation)}
        for name, profile in profiles.items()
    }
    assert len(held["all"]) == len(portkey.operations)
    assert not held["data-plane"] & held["admin"]
    public = {operation.id for operation in portkey.operations if operation.plane is Plane.PUBLIC}
    assert held["data-plane"] | held["admin"] | public == held["all"]
    assert held["inference"] < held["data-plane"]
    assert held["assistants"] < held["data-plane"]
    for profile in profiles.values():
        assert set(profile.capabilities) <= {*CAPABILITIES, *ROLES}


def test_every_profile_requires_what_its_operations_cannot_do_without(
    portkey: Contract, portkey_graph: Any
) -> None:
    """A capability or model role that an operation of a profile needs is one the profile requires."""
    profiles = load_profiles(portkey)
    for name, profile in profiles.items():
        needed = {
            need
            for operation in portkey.operations
            if profile.holds(operation)
            for need in (*portkey_graph.needs(operation.id), *portkey_graph.model_roles(operation.id))
        }
        assert needed <= set(profile.capabilities), (name, needed - set(profile.capabilities))
