"""ComfyUI's graph in its API format: nodes with inputs that are values or links to other nodes.

Nodes are known by the names of their inputs. Class names are of no use: there are thousands, from
hundreds of authors, who keep the names of inputs because links and widgets show them.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

MAX_NODES = 2_000
"""A graph drawn by hand has tens, a generated one hundreds."""
MAX_HANDED_ON = 8
"""Nodes that merely hand a value on to the next."""
MAX_TEXT_DEPTH = 40
"""Of nodes that put texts together."""
MAX_TEXT = 10_000
"""Characters kept at each of them: texts that are joined with themselves double every time."""

VALUE_INPUTS = ("value", "int", "float", "number", "Number", "Value", "string", "text")
"""What nodes that only hold a value call it."""
TEXT_INPUTS = ("text", "text_g", "text_l", "clip_l", "t5xxl", "prompt", "string", "value")
"""What nodes that encode or hold a prompt call it; `text_a`, `string_b` and such are found too."""
TEXT_BEGINNINGS = ("text_", "string_", "prompt_")
POPULATED = "populated_text"
"""A wildcard node's text after its wildcards were drawn, beside the one with them."""


@dataclass(frozen=True, slots=True)
class Node:
    id: str
    kind: str
    """The class name."""
    inputs: Mapping[str, Any]
    links: Mapping[str, str]
    """Names of the inputs that come from another node, to that node's id."""


class NodeGraph:
    """Every walk visits a node once, so cycles end."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = nodes
        self._texts: dict[str, str] = {}

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Entries that are no nodes are left out; a graph too large to be one is empty."""
        if len(document) > MAX_NODES:
            return cls({})
        return cls(
            {
                id_: Node(id_, str(entry.get("class_type", "")), inputs, _links(inputs, document))
                for id_, entry in document.items()
                if isinstance(entry, dict) and isinstance(inputs := entry.get("inputs"), dict)
            }
        )

    def source(self, node: Node, name: str) -> Node | None:
        """What the input of that name comes from; None where it is a value of its own."""
        return self.nodes.get(node.links.get(name, ""))

    def upstream(self, start: Node, follows: Callable[[str], bool]) -> Iterator[Node]:
        """`start`, then what its inputs that `follows` accepts come from, nearest first."""
        seen, waiting = {start.id}, deque([start])
        while waiting:
            node = waiting.popleft()
            yield node
            for name in filter(follows, node.links):
                source = self.source(node, name)
                if source is not None and source.id not in seen:
                    seen.add(source.id)
                    waiting.append(source)

    def nearest(
        self, start: Node, names: Sequence[str], follows: Callable[[str], bool]
    ) -> str | int | float | None:
        """The first value upstream of an input of one of these names."""
        for node in self.upstream(start, follows):
            for name in names:
                if (value := self.value(node, name)) is not None:
                    return value
        return None

    def value(self, node: Node, name: str) -> str | int | float | None:
        """The input's own value, or that of the node that it is linked to."""
        held = name
        for _ in range(MAX_HANDED_ON):
            found = node.inputs.get(held)
            if isinstance(found, str | int | float) and not isinstance(found, bool):
                return found
            source = self.source(node, held)
            if source is None:
                return None
            inputs = [key for key in (name, *VALUE_INPUTS) if key in source.inputs]
            if not inputs and len(source.links) != 1:
                return None  # what it makes of several inputs cannot be told
            node, held = source, next(iter(inputs or source.links))
        return None

    def text(self, node: Node) -> str:
        """What a node that has texts among its inputs makes of them; empty for other nodes."""
        return self._text(node, MAX_TEXT_DEPTH)

    def _text(self, node: Node, depth: int) -> str:
        if node.id not in self._texts:
            self._texts[node.id] = ""  # what a cycle finds when it comes back here
            self._texts[node.id] = self._joined(node, depth)[:MAX_TEXT]
        return self._texts[node.id]

    def _joined(self, node: Node, depth: int) -> str:
        names = [POPULATED] if POPULATED in node.inputs else list(filter(_is_text, node.inputs))
        parts = []
        for name in names:
            source = self.source(node, name)
            if source is not None and depth:
                parts.append(self._text(_past_reroutes(self, source), depth - 1))
            elif isinstance(value := node.inputs[name], str):
                parts.append(value)
        delimiter = node.inputs.get("delimiter")
        # Encoders with several towers get the same text for each of them.
        unique = dict.fromkeys(part for part in parts if part)
        return (delimiter[:20] if isinstance(delimiter, str) else ", ").join(unique)


def _links(inputs: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, str]:
    """A link is a list of a node's id and the number of its output."""
    return {
        name: str(value[0])
        for name, value in inputs.items()
        if isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str | int)
        and str(value[0]) in document
    }


def _past_reroutes(graph: NodeGraph, node: Node) -> Node:
    """Over nodes that hand on the one thing that comes into them."""
    for _ in range(MAX_HANDED_ON):
        if any(map(_is_text, node.inputs)) or len(node.links) != 1:
            break
        source = graph.source(node, next(iter(node.links)))
        if source is None:
            break
        node = source
    return node


def _is_text(name: str) -> bool:
    return name in TEXT_INPUTS or name.startswith((POPULATED, *TEXT_BEGINNINGS))
