"""How tools reach a model and how its calls come back: natively, as ReAct text, or in Hermes' tags.

The graph knows one form only, LangChain's: a thought in `content`, calls in `tool_calls`, hidden reasoning in
`additional_kwargs["reasoning_content"]`. `outgoing` puts it into what a seat's model reads, `incoming` brings it back.
What a model wrote never raises here: what can be mended is mended and counted by name (`MENDS`), what cannot becomes an
entry of `invalid_tool_calls` with words for the model.
"""

from __future__ import annotations

from .reply import MENDS
from .transports import incoming, outgoing, stop_words

__all__ = ["MENDS", "incoming", "outgoing", "stop_words"]
