"""The legend of mends: the name of each thing that the transports put right in a reply, and what it means."""

from __future__ import annotations

MENDS = {
    "think": "a hidden thought stood in the content as <think>...</think>; it is kept as reasoning_content",
    "narrated": "the call was told in the content, in another form than the transport's",
    "fence": "the call or its arguments stood in a Markdown fence",
    "quotes": "strings stood in single or typographic quotes",
    "inner_quotes": "quotes inside a string were not escaped",
    "bad_escape": "a backslash in a string began no escape that JSON knows; it is kept as it stands",
    "raw_newline": "a string held line breaks or tabs that were not escaped",
    "bare_key": "an argument's name stood without quotes",
    "python_literal": "True, False or None where JSON has true, false and null",
    "trailing_comma": "a comma with nothing behind it",
    "unclosed": "a brace, bracket or tag at the end was missing",
    "extra_brace": "braces or brackets too many at the end",
    "several_objects": "several calls stood in the place of one",
    "bracket_call": "the call was written as name[...] or name(...)",
    "xml_call": "the call was written as <function=name><parameter=name>...",
    "plain_input": "plain words stood for the arguments of a tool with one required string",
    "no_input": "nothing, or a word for nothing, stood for the arguments",
    "double_encoded": "the arguments were JSON inside a JSON string",
    "wrapped": "the arguments stood one level too deep",
    "argument_names": "the call's parts were not called name and arguments, or the arguments stood beside the name",
    "tool_name": "the tool's name had other case, a prefix, or marks round it",
    "action_line": "the arguments stood on or below the Action line without Action Input",
    "marker": "Thought:, Action: and the like in bold, in other case, or numbered",
    "final_answer": "the answer stood as Final Answer: or Finish[...]; it is an Answer: line now",
    "invented_observation": "the model went on with an observation of its own, which is cut off with all behind it",
    "space_before_call": "white space stood between the thought and a native call, as vLLM's parsers leave it",
    "trailing_text": "words behind a call were put to the thought",
    "duplicate_call": "the same call with the same arguments came twice in one reply; one is dropped",
    "too_many": "calls past the most that one reply may make were dropped",
    "call_form": "the call kept to the protocol's words and not to its form, e.g. arguments as an object, not its JSON",
    "call_id": "a call had no id, or that of another call",
    "surrogate": "halves of surrogate pairs, which no request and no record can hold, are question marks now",
}
"""Name -> what it means. The names go on record (`Trajectory.mended`), so they stay as they are."""
