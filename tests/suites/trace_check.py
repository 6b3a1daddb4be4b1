# SPDX-License-Identifier: MIT
"""Whether a trace of `v4lfence trace` is what viewers demand of Chrome's JSON, and says of each
buffer what can be true."""

import collections
import json

_phases = {
    "M": {"pid", "name", "args"},
    "X": {"pid", "tid", "ts", "name", "cat", "dur", "args"},
    "i": {"pid", "tid", "ts", "name", "cat", "s"},
    "b": {"pid", "ts", "name", "cat", "id"},
    "e": {"pid", "ts", "name", "cat", "id"},
    "s": {"pid", "tid", "ts", "name", "cat", "id"},
    "f": {"pid", "tid", "ts", "name", "cat", "id", "bp"},
}
_optional = {"M": {"tid"}, "i": {"args"}, "b": {"args"}, "e": {"args"}}
_types = {"pid": int, "tid": int, "id": int, "ts": (int, float), "dur": (int, float), "name": str,
          "cat": str, "args": dict, "s": str, "bp": str}
# What a buffer goes through, in this order.
_states = ("held", "given", "done")


def read(path):
    return json.loads(path.read_text())


def problem_of(trace):
    """The first thing that is wrong, or None."""
    try:
        events = trace["traceEvents"]
        for check in (_schema, _rising, _named, _nested, _paired, _flows, _buffers):
            if problem := check(events):
                return f"{check.__name__[1:]}: {problem}"
    except (KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def of_phase(trace, phase):
    return [event for event in trace["traceEvents"] if event["ph"] == phase]


def arrows(trace):
    """Pairs of the events where each begins and ends."""
    ends = {event["id"]: event for event in of_phase(trace, "f")}
    return [(start, ends[start["id"]]) for start in of_phase(trace, "s")]


def _ns(event, key="ts"):
    return round(event[key] * 1000)


def _schema(events):
    for event in events:
        keys = set(event) - {"ph"}
        wanted = _phases.get(event["ph"])
        if wanted is None:
            return f"unknown phase {event}"
        if keys - wanted - _optional.get(event["ph"], set()) or wanted - keys:
            return f"fields of {event}"
        for key in keys:
            if not isinstance(event[key], _types[key]):
                return f"type of {key} in {event}"
        if event.get("dur", 0) < 0 or event.get("ts", 0) < 0:
            return f"negative time in {event}"
    return None


def _rising(events):
    last = 0
    seen_time = False
    for event in events:
        if event["ph"] == "M":
            if seen_time:
                return f"a name behind events: {event}"
            continue
        seen_time = True
        if event["ts"] < last:
            return f"{event['ts']} behind {last}"
        last = event["ts"]
    return None


def _named(events):
    processes = {event["pid"] for event in events if event["name"] == "process_name"}
    lanes = {(event["pid"], event["tid"]) for event in events if event["name"] == "thread_name"}
    if len({lane for _, lane in lanes}) != len(lanes):
        return "two processes share a lane"
    for event in events:
        if event["pid"] not in processes:
            return f"process without a name: {event}"
        if "tid" in event and (event["pid"], event["tid"]) not in lanes:
            return f"lane without a name: {event}"
    return None


def _nested(events):
    open_ends = collections.defaultdict(list)
    for event in events:
        if event["ph"] != "X":
            continue
        begin, end = _ns(event), _ns(event) + _ns(event, "dur")
        ends = open_ends[event["tid"]]
        while ends and ends[-1] <= begin:
            ends.pop()
        # Microseconds of a large clock have lost their last digit.
        if ends and end > ends[-1] + 1:
            return f"{event} ends behind what it is in"
        ends.append(end)
    return None


def _paired(events):
    begun = {}
    for event in events:
        if event["ph"] == "b":
            if event["id"] in begun:
                return f"begun twice: {event}"
            begun[event["id"]] = event
        elif event["ph"] == "e":
            start = begun.pop(event["id"], None)
            if start is None or (start["cat"], start["name"]) != (event["cat"], event["name"]):
                return f"ends what has not begun: {event}"
    return f"never ended: {next(iter(begun.values()))}" if begun else None


def _flows(events):
    starts = {}
    for event in events:
        if event["ph"] == "s":
            starts[event["id"]] = event
        elif event["ph"] == "f" and starts.pop(event["id"], None) is None:
            return f"an arrow from nowhere: {event}"
    return f"an arrow to nowhere: {next(iter(starts.values()))}" if starts else None


def _buffers(events):
    """Within a job a state is never followed by an earlier one, without a failed start."""
    jobs = collections.defaultdict(list)
    for event in events:
        if event["ph"] == "X" and event["cat"] in _states and event["name"] == event["cat"]:
            jobs[event["tid"], event["args"].get("job")].append(event)
    for (_, job), states in jobs.items():
        order = [_states.index(state["name"]) for state in states]
        if order != sorted(order):
            return f"job {job} went through {[state['name'] for state in states]}"
        for one, other in zip(states, states[1:]):
            if abs(_ns(one) + _ns(one, "dur") - _ns(other)) > 1:
                return f"a gap in job {job}"
    return None
