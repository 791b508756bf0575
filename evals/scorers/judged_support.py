"""The score `judged_support`: a seat says whether what an episode quotes supports its answer; it never sees the gold.

`[evaluate.seats] judged_support` names the seat; without it the judge of the collecting team is asked.
"""

from __future__ import annotations

from agents.answers import Final
from agents.judge import Judgement, shown
from agents.prompts import prompt
from agents.task import Task
from graphs.trajectory import Trajectory

from ..scores import Asker, Column, Values, ending, scorer, scores


@scores.register("judged_support")
@scorer(
    asks=True,
    judged_support=Column(
        title="supported by a judge, %",
        short="support",
        group="search",
        legend="Of the answered episodes that searched: a judge that does not know the gold "
        "found that the quotes support the answer.",
    ),
)
async def judged_support(task: Task, trajectory: Trajectory, asker: Asker) -> Values:
    """Asked where there is an answer with quotes; an answer without a quote is not supported, and nobody is asked."""
    from langchain_core.messages import HumanMessage, SystemMessage

    if ending(task, trajectory) != "answered" or not trajectory.tool_uses:
        return {"judged_support": None}
    if not trajectory.quotes:
        return {"judged_support": 0.0}
    final = Final(answer=trajectory.answer, quotes=trajectory.quotes)
    passages = [use.extract for use in trajectory.tool_uses]
    text = shown(task.question, task.shown(trajectory.form), final, passages)
    found = await asker.ask([SystemMessage(prompt("judge")), HumanMessage(text)], Judgement)
    return {"judged_support": None if found is None else float(found.supported)}
