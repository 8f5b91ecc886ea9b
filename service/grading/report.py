"""A result as a document, with no more in it than the task reveals.

    score       the score
    verdict     and the verdict on every wire
    diagnosis   and what probably went wrong
    full        and the expected gradients, how far off, and each mistake as a formula

Below `full` nothing allows the expected gradients to be worked out: no expected value, no
figure of an error, no factor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.grading.task import Diagnosis, Hypothesis, Result, Reveal, WireResult

LEVELS: tuple[Reveal, ...] = ("score", "verdict", "diagnosis", "full")


def shown(result: Result) -> dict[str, Any]:
    """The document of a result; tensors in it are NumPy arrays, and nothing is None."""
    level = LEVELS.index(result.reveal)
    document: dict[str, Any] = {}
    if result.submission is not None:
        document["submission"] = result.submission
    document |= {
        "score": result.score,
        "max_score": result.max_score,
        "message": result.message,
    }
    if result.reason is not None:
        document["reason"] = result.reason
    if level >= 1:
        wires = [wire for wire in result.wires if wire.kind == "gradient"]
        document["nodes"] = [_wire(wire, level) for wire in wires]
        values = [wire for wire in result.wires if wire.kind == "value"]
        if values:
            document["values"] = [_wire(wire, level) for wire in values]
    if level >= 2:
        if result.faulty:
            document["first_fault"] = result.faulty[0]
        if not result.complete:
            document["diagnosis_complete"] = False
    if result.notes:
        document["notes"] = result.notes
    return document


def _wire(wire: WireResult, level: int) -> dict[str, Any]:
    document: dict[str, Any] = {
        "node": wire.wire,
        "verdict": wire.verdict,
        "points": wire.points,
        "max_points": wire.max_points,
    }
    if wire.reason:
        document["reason"] = wire.reason
    if level >= 2 and wire.entries is not None:
        wrong, of, first = wire.entries
        document["entries"] = {"wrong": wrong, "of": of, "first": list(first)}
    if level >= 2:
        document["diagnoses"] = [_diagnosis(one, level) for one in wire.diagnoses]
    if level >= 3:
        for name in ("expected", "submitted", "error"):
            value = getattr(wire, name)
            if value is not None:
                document[name] = value
    return document


def _diagnosis(diagnosis: Diagnosis, level: int) -> dict[str, Any]:
    return {
        **_hypothesis(diagnosis.first, level),
        "confidence": diagnosis.confidence,
        "equivalent_hypotheses": [_hypothesis(one, level) for one in diagnosis.equivalent],
    }


def _hypothesis(hypothesis: Hypothesis, level: int) -> dict[str, Any]:
    at = hypothesis.shown or hypothesis.at
    document = {"code": hypothesis.code, "message": hypothesis.message, "at": at}
    if level >= 3 and hypothesis.detail:
        document["detail"] = hypothesis.detail
    return document


WORDS: Mapping[str, str] = {
    "correct": "right",
    "carried_forward": "follows from an earlier mistake",
    "wrong": "wrong",
    "inconsistent": "right, but does not follow from your own work",
    "missing": "missing",
    "wrong_shape": "has the wrong shape",
    "not_finite": "is not finite",
}
"""A verdict in words."""


def label(node: Mapping[str, Any], kind: str = "gradient") -> str:
    """What a node's entry is called: by the name that a submission has to use."""
    return str(node["node"]) if kind == "gradient" else f"{node['node']} (value)"


def explain(node: Mapping[str, Any]) -> str:
    """What there is to say about one node of a document, in lines for a student."""
    if node["verdict"] == "correct":
        return ""
    lines = []
    if node.get("reason"):
        lines.append(f"{node['reason'][:1].upper()}{node['reason'][1:]}.")
    if "entries" in node:
        entries = node["entries"]
        index = ", ".join(map(str, entries["first"]))
        lines.append(
            f"{entries['wrong']} of {entries['of']} entries are wrong, the first at [{index}]."
        )
    diagnoses = node.get("diagnoses", [])
    for place, one in enumerate(diagnoses[:2]):
        also = "" if place == 0 else "Or else: "
        where = "" if one["at"] == node["node"] else f" (at '{one['at']}')"
        lines.append(f"{also}{one['message']}{where}")
    return "\n".join(lines)


def feedback(document: Mapping[str, Any]) -> str:
    """The whole document as plain text for a student."""
    lines = [document["message"]]
    for kind, member in (("gradient", "nodes"), ("value", "values")):
        for node in document.get(member, ()):
            lines.append(f"{label(node, kind)}: {WORDS[node['verdict']]} ({points(node)})")
            said = explain(node)
            if said:
                lines += ["    " + line for line in said.splitlines()]
    lines += [f"Note: {note}" for note in document.get("notes", ())]
    return "\n".join(lines)


def points(node: Mapping[str, Any]) -> str:
    """The points of a node's entry: `1/2`."""
    return f"{node['points']:g}/{node['max_points']:g}"
