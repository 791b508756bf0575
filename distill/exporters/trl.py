"""TRL's conversational form: `messages` with arguments as dicts, and `tools` as a JSON string.

TRL 1.16 reads no flag of a message: its mask comes from the chat template (`assistant_only_loss`), or from a column
`assistant_masks` of tokens. `train` stands in the messages as the record has it; Retort's own rows honour it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import Conversation, exporters


@exporters.register("trl")
class Trl:
    """Rows as data/sft.jsonl holds them."""

    title = "`messages` in OpenAI's chat form and `tools`, as TRL and most trainers read them"

    def write(self, conversation: Conversation) -> dict[str, Any]:
        """One row; `tools` is a string, since Arrow would fill a schema's absent keys with null."""
        tools = json.dumps(conversation.tools, ensure_ascii=False)
        return {"messages": conversation.messages, "tools": tools, **conversation.about}

    def read(self, row: Mapping[str, Any]) -> Conversation:
        """Inverse of `write`."""
        return Conversation.of(row)
