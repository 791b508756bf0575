"""Keeps keys out of errors, logs, ledgers and trajectories: by what they are, by their encodings, and by their form.

Secrets are known from the moment a seat behind an endpoint is opened (`know`). A text is redacted before it is cut,
never after: a cut key is no longer the key, and its head would stay.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

MARK = "[key]"
SHORT = 5
"""Characters below which a value is no secret: "none" is what local servers get."""
PART = 8
"""Characters of a key's head or tail that give it away in an error."""
LONG = 16
"""The same in what a model says, where the common start of a provider's keys may be the manual's own words; and keys
shorter than that are left alone there: local servers are given words such as `EMPTY` and `ollama`."""

_known: set[str] = set()
_SECRET_WORDS = frozenset(
    ("key", "token", "secret", "sig", "signature", "password", "passwd", "pwd", "auth", "authorization", "credential",
     "credentials", "code", "sas", "jwt", "bearer")
)  # fmt: skip
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_VALUE = r"[^\s'\",;&}\\]"
_FORMS = (
    (re.compile(r"([a-zA-Z][\w+.\-]*://)[^\s/?#@]*@"), rf"\1{MARK}@"),
    (re.compile(rf"(?i)\b((?:proxy-)?authorization['\"]?\s*[:=]\s*b?['\"]?(?:\w+ )?){_VALUE}{{6,}}"), rf"\1{MARK}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+(?=\S*\d|\S{20})[\w.~+/=\-]{8,}"), rf"\1 {MARK}"),
    (
        re.compile(
            rf"(?i)\b((?:x-)?(?:api|access|auth|subscription|client|secret)[-_ ]?(?:key|token|secret)['\"]?\s*[:=]\s*"
            rf"['\"]?){_VALUE}{{6,}}"
        ),
        rf"\1{MARK}",
    ),
    (re.compile(r"(?i)\b(password['\"]?\s*[:=]\s*['\"]?)" + _VALUE + "{6,}"), rf"\1{MARK}"),
    (re.compile(r"\bsk-[\w\-]{8,}"), MARK),
)
_PARAMETER = re.compile(r"([?&])([^=&\s#]+)=([^&\s#'\"<>\\]+)")
_KEY = re.compile(
    r"(?:sk|gsk|hf|xai|ghp|gho|github_pat|glpat|AIza|nvapi|pplx|r8|tgp|key|pk|rk)[-_]?(?=\S*\d)[\w\-]{16,}"
)


def know(*secrets: str) -> None:
    """Keep these out of every text from now on."""
    _known.update(secret for secret in secrets if len(secret.strip()) >= SHORT)


def secrets_of_url(url: str) -> list[str]:
    """What of a URL nobody may read: user and password, their Basic form, and values of parameters named like keys."""
    found = []
    for part in url.split(","):
        user, at, _ = authority(part).rpartition("@")
        if at:
            found += [user, *user.split(":")]
        found += [value for name, value in parameters(part) if secret_name(name) or looks_like_key(value)]
    return found


def authority(url: str) -> str:
    """User, password, host and port of a URL; of a text without `//` all of it up to the path."""
    return re.split(r"[/?#]", url.partition("//")[2] or url, maxsplit=1)[0]


def parameters(url: str) -> list[tuple[str, str]]:
    """Name and value of each parameter of a URL."""
    return parse_qsl(urlsplit(f"//x?{url.partition('?')[2]}").query, keep_blank_values=True)


def secret_name(name: str) -> bool:
    """Whether a parameter of this name holds a secret: `api-version` does not, `subscription-key` does."""
    return any(word.lower() in _SECRET_WORDS or word.lower().endswith(("key", "token")) for word in _WORD.findall(name))


def looks_like_key(value: str) -> bool:
    """Whether a value has the form of a provider's key."""
    return value.startswith("sk-") or _KEY.fullmatch(value) is not None


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """A text without keys: these, those known, heads and tails of them, and what only looks like one.

    For an endpoint's words and for URLs, before they get into an error, a log or a file. Cut the text afterwards.
    """
    text = without(text, secrets)
    text = _PARAMETER.sub(_parameter, text)
    for form, instead in _FORMS:
        text = form.sub(instead, text)
    return text


def without(text: str, secrets: Iterable[str] = (), *, part: int = PART, least: int = SHORT) -> str:
    """A text without these secrets and those known, however they were encoded.

    Args:
        part: characters of a head or a tail that are taken for the whole.
        least: characters of the secrets that are looked for.
    """
    for secret in {*secrets, *_known}:
        if len(secret) < least:
            continue
        for form in encodings(secret):
            text = text.replace(form, MARK)
        for form in encodings(secret):
            if len(form) > part:
                text = _cut_out(text, form, part)
    return text


def without_in(value: Any) -> Any:
    """A JSON value of a reply without known secrets in its strings."""
    if isinstance(value, str):
        return without(value, part=LONG, least=LONG)
    if isinstance(value, dict):
        return {without_in(key): without_in(each) for key, each in value.items()}
    return [without_in(each) for each in value] if isinstance(value, list) else value


@lru_cache(maxsize=256)
def encodings(secret: str) -> tuple[str, ...]:
    """The forms in which a secret may stand in a text, the longest first."""
    found = {secret, secret.strip()}
    for form in list(found):
        found |= {repr(form)[1:-1], json.dumps(form)[1:-1], html.escape(form), quote_plus(form)}
        percent = quote(form, safe="")
        found |= {percent, re.sub("%..", lambda match: match[0].lower(), percent)}
    raw = secret.strip().encode("utf-8", "replace")
    found |= {raw.hex(), raw.hex().upper(), *_in_base64(raw)}
    return tuple(sorted((form for form in found if len(form) >= SHORT), key=lambda form: (-len(form), form)))


def _in_base64(raw: bytes) -> Iterator[str]:
    """Base64 of a key, also as part of a longer text: the characters that the key alone decides."""
    for before, unsure in ((0, 0), (1, 2), (2, 3)):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            sure = encode(bytes(before) + raw).decode()[unsure : 8 * (before + len(raw)) // 6]
            if len(sure) >= PART:
                yield sure


def _cut_out(text: str, form: str, part: int) -> str:
    """The text without heads and tails of `form` of at least `part` characters."""
    head, tail = form[:part], form[-part:]
    while (at := text.find(head)) >= 0:
        end = at + part
        while end < len(text) and end - at < len(form) and text[end] == form[end - at]:
            end += 1
        text = text[:at] + MARK + text[end:]
    while (at := text.find(tail)) >= 0:
        start, end = at, at + part
        while start > 0 and end - start < len(form) and text[start - 1] == form[-(end - start) - 1]:
            start -= 1
        text = text[:start] + MARK + text[end:]
    return text


def _parameter(match: re.Match[str]) -> str:
    mark, name, value = match.groups()
    return f"{mark}{name}={MARK}" if secret_name(name) or looks_like_key(value) else match[0]
