"""Who asks, with what: header values that must never be printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from conformance.model import Credential

KEY_HEADER = "x-portkey-api-key"

# Headers that route or describe a request: a credential may need them, but they are no secret, and
# replacing values like "openai" everywhere would ruin the evidence.
PLAIN_HEADERS = frozenset(
    {
        "accept",
        "content-type",
        "openai-beta",
        "openai-organization",
        "openai-project",
        "user-agent",
        "x-portkey-cache-namespace",
        "x-portkey-config",
        "x-portkey-custom-host",
        "x-portkey-metadata",
        "x-portkey-provider",
        "x-portkey-trace-id",
    }
)
SCHEMES = ("bearer ", "basic ", "token ", "apikey ")


class Secret:
    """A string that shows itself only to who calls ``reveal``."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(hidden)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


def bare(value: str) -> str:
    """The credential without its scheme: of ``Bearer abc``, ``abc``."""
    lowered = value.lower()
    for scheme in SCHEMES:
        if lowered.startswith(scheme):
            return value[len(scheme) :].strip()
    return value


@dataclass(frozen=True)
class Credentials:
    """The headers of each credential, by lower-case name. ABSENT always exists and is empty."""

    headers: Mapping[Credential, Mapping[str, Secret]] = field(default_factory=dict)

    def __contains__(self, credential: object) -> bool:
        return credential == Credential.ABSENT or credential in self.headers

    def of(self, credential: Credential) -> tuple[tuple[str, str], ...]:
        """The headers to send, names and values; empty for ABSENT and for what is not configured."""
        return tuple((name, value.reveal()) for name, value in self.headers.get(credential, {}).items())

    def names(self) -> tuple[str, ...]:
        """The credentials that are configured, ABSENT aside."""
        return tuple(credential.value for credential in Credential if credential in self.headers)

    def named_secrets(self) -> Iterator[tuple[str, str]]:
        """(name, value) of every secret value; the first one of a credential bears its plain name."""
        for credential, headers in self.headers.items():
            first = True
            for header, value in headers.items():
                if header in PLAIN_HEADERS:
                    continue
                yield (credential.value if first else f"{credential.value}:{header}"), bare(value.reveal())
                first = False
