"""What a behaviour tree does, as plain functions over dicts: the oracle of the real one.

A node is its spec (`kind`, `id`, fields) with what it remembers beside: `status`, and by kind
`index`, `ticks`, `started`, `state`. No node knows of asyncio: "at the same time" is in order here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Node = dict[str, Any]

DONE = ("success", "failure")


class RaisedError(Exception):
    """A leaf raised; carries its id."""


class World:
    """What a tree has around it: the time, and a list of the leaves that were touched."""

    def __init__(self) -> None:
        self.now = 0.0
        self.touched: list[str] = []


def tick(node: Node, world: World) -> str:
    """Ticks a node and gives its status after it.

    Raises:
        RaisedError: a leaf did; the nodes above it stay as they were.
    """
    node["status"] = _TICKS[node["kind"]](node, world)
    return str(node["status"])


def reset(node: Node) -> None:
    """Puts a node and all below it back to the beginning; what leaves have read stays read."""
    node["status"] = "ready"
    node["index"] = 0
    node["state"] = node["started"] = None
    if node["kind"] == "CountLimit":
        node["ticks"] = 0
    for child in children(node):
        reset(child)


def children(node: Node) -> list[Node]:
    """Gives the nodes directly below one."""
    below = [*node.get("cond", ()), *node.get("tasks", ())]
    below += [node[name] for name in ("task", "root") if node.get(name) is not None]
    return below + [state["task"] for state in node.get("states", {}).values()]


def statuses(node: Node) -> dict[str, str]:
    """Gives id -> status of a node and all below it."""
    found = {node["id"]: node.get("status", "ready")}
    for child in children(node):
        found.update(statuses(child))
    return found


def _is_done(node: Node) -> bool:
    return node.get("status") in DONE


def _read(node: Node, world: World) -> str:
    """Gives what the script of a leaf says next."""
    world.touched.append(node["id"])
    node["ticks"] = node.get("ticks", 0) + 1
    said = node["script"][(node["ticks"] - 1) % len(node["script"])]
    if said == "raise":
        raise RaisedError(node["id"])
    return str(said)


def _scripted(node: Node, world: World) -> str:
    return str(node["status"]) if _is_done(node) else _read(node, world)


def _asked(node: Node, world: World) -> str:
    return "success" if _read(node, world) == "yes" else "failure"


def _awaited(node: Node, world: World) -> str:
    return "success" if _read(node, world) == "yes" else "waiting"


def _count_limit(node: Node, _: World) -> str:
    if not _is_done(node):
        node["ticks"] = node.get("ticks", 0) + 1
    return "success" if node["ticks"] >= node["count"] else "running"


def _fixed_timer(node: Node, world: World) -> str:
    if _is_done(node):
        return "success"
    if node.get("started") is None:
        node["started"] = world.now
    return "success" if world.now - node["started"] >= node["seconds"] else "running"


def _serial(goes_on: str) -> Callable[[Node, World], str]:
    def ticked(node: Node, world: World) -> str:
        while not _is_done(node):
            index = node.get("index", 0)
            if index == len(node["tasks"]):
                return goes_on
            status = tick(node["tasks"][index], world)
            if status != goes_on:
                return status
            node["index"] = index + 1
            if not node["cascaded"] and index + 1 < len(node["tasks"]):
                return "running"
        return str(node["status"])

    return ticked


def _parallel(node: Node, world: World) -> str:
    if _is_done(node):
        return str(node["status"])
    tasks, errors = node["tasks"], []
    for task in tasks:
        if not _is_done(task):
            try:
                tick(task, world)
            except RaisedError as error:
                errors.append(error)
    if errors:
        raise errors[0]
    total = len(tasks)
    fails_on, succeeds_on = (
        count if count > 0 else total + 1 + count
        for count in (node["fails_on"], node["succeeds_on"])
    )
    results = [task["status"] for task in tasks]
    ended = all(result in DONE for result in results)
    succeeded = results.count("success") >= succeeds_on
    failed = results.count("failure") >= fails_on and (node["preempt"] or ended)
    if succeeded and failed:
        return "success" if node["success_priority"] else "failure"
    if succeeded:
        return "success"
    return "failure" if failed or ended else "running"


def _not(node: Node, world: World) -> str:
    status = tick(node["task"], world)
    return {"success": "failure", "failure": "success"}.get(status, status)


def _rounds(*, ends_on_target: bool) -> Callable[[Node, World], str]:
    def ticked(node: Node, world: World) -> str:
        if _is_done(node):
            return str(node["status"])
        status = tick(node["task"], world)
        if status in DONE and (status == node["target_status"]) is not ends_on_target:
            reset(node["task"])
            return "running"
        return status

    return ticked


def _preempt_cond(node: Node, world: World) -> str:
    if _is_done(node) and _is_done(node["task"]):
        return str(node["status"])
    answers = []
    for condition in node["cond"]:
        if _is_done(condition):
            reset(condition)
        answers.append(tick(condition, world))
        if answers[-1] == "failure":
            return "failure"
    if any(answer != "success" for answer in answers):
        return "waiting"
    return tick(node["task"], world)


def _bt(node: Node, world: World) -> str:
    return "success" if node.get("root") is None else tick(node["root"], world)


def _machine(node: Node, world: World) -> str:
    if _is_done(node):
        return str(node["status"])
    name = node["state"] = node.get("state") or node["start"]
    if name is None:
        return "success"
    outcome = tick(node["states"][name]["task"], world)
    if outcome not in DONE:
        return outcome
    follows = node["transitions"][name][outcome]
    if follows in DONE:
        return str(follows)
    node["state"] = follows
    reset(node["states"][follows]["task"])
    return "running"


_TICKS: dict[str, Callable[[Node, World], str]] = {
    "Scripted": _scripted,
    "Asked": _asked,
    "Awaited": _awaited,
    "CountLimit": _count_limit,
    "FixedTimer": _fixed_timer,
    "Sequence": _serial("success"),
    "Selector": _serial("failure"),
    "Parallel": _parallel,
    "Not": _not,
    "Until": _rounds(ends_on_target=True),
    "AsLongAs": _rounds(ends_on_target=False),
    "PreemptCond": _preempt_cond,
    "BT": _bt,
    "StateMachine": _machine,
}
