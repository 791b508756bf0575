"""The provider `openai`: any endpoint that speaks the OpenAI protocol, by its URL, OPENAI_BASE_URL, or OpenAI's own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from . import Provider, Spec, check_address, providers

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

    from ..context import Seat

EXTRA = "openai"
"""The extra with the client of the protocol."""
PUBLIC = "https://api.openai.com/v1"


class OpenAI(Provider):
    """Seats `openai:MODEL[@URL]`."""

    remote = True
    json_schema = True
    packages: ClassVar = {EXTRA: ("langchain_openai", "aiohttp")}

    def open(self, spec: Spec, seat: Seat) -> BaseChatModel:
        """A client of the endpoint; nothing is sent yet."""
        from ..models.openai import open_openai

        return open_openai(spec.model, spec.url, seat)

    def check(self, spec: Spec) -> None:
        """The URL must be one."""
        check_address(spec)

    def extras(self, spec: Spec) -> tuple[str, ...]:
        """The client."""
        return (EXTRA,)

    def endpoints(self, spec: Spec) -> tuple[str, ...]:
        """Each of its URLs."""
        urls = (spec.url or os.environ.get("OPENAI_BASE_URL") or PUBLIC).split(",")
        return tuple(each.strip() for each in urls if each.strip())


providers.register("openai")(OpenAI())
