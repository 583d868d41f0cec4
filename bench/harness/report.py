"""The results as Markdown tables: medians, and rosn's ratio to each peer of the same run."""
from statistics import median, quantiles

from .peers import OTHER
from .workloads import CPU


def render(records: list[dict], conditions: str) -> str:
    parts = ["# rosn side by side", conditions]
    plain = [one for one in records if one.get("workload") != "routes"]
    parts += _cost(plain) + _other(plain) + _speed(plain) + _memory(records) + _allocations(records) + _routes(records)
    return "\n\n".join(parts) + "\n"


def _cost(records: list[dict]) -> list[str]:
    cells = _medians(records, "cpu", "workload", "cost")
    if not cells:
        return []
    return ["## CPU of the proxy", "Microseconds for each request; seconds for each GiB in the bulk workloads "
            "(`l4-dl*`, `l4-ul*`). Lower is better. In brackets: rosn's cost divided by this peer's.",
            _table("workload", cells, lambda value: f"{value:.3g}"), _spread(records)]


def _other(records: list[dict]) -> list[str]:
    """Two binaries of rosn: their ratio in each round, which a slow drift of the machine leaves alone."""
    costs = {(one["workload"], one["peer"], one["round"]): one["cost"] for one in records if one["kind"] == "cpu"}
    ratios: dict[str, list[float]] = {}
    for (workload, peer, number), cost in costs.items():
        other = costs.get((workload, OTHER, number))
        if peer == "rosn" and other:
            ratios.setdefault(workload, []).append(cost / other)
    if not ratios:
        return []
    rows = []
    for name, found in ratios.items():
        # quartiles, so that one bad round does not count
        low, middle, high = quantiles(found, n=4, method="inclusive") if len(found) > 1 else found * 3
        rows.append([name, f"{middle:.3f}", f"{low:.3f} to {high:.3f}", f"{min(found):.3f} to {max(found):.3f}", str(len(found))])
    return ["## rosn divided by rosn-b", "CPU for each request, round by round.",
            _markdown(["workload", "median", "middle half", "all", "rounds"], rows)]


def _speed(records: list[dict]) -> list[str]:
    requests = [one for one in records if one["kind"] == "cpu" and "rps" in one]
    if not requests:
        return []
    names = _ordered({one["peer"] for one in requests})
    rows = []
    for workload in _workloads(requests):
        row = [workload]
        for name in names:
            runs = [one for one in requests if one["workload"] == workload and one["peer"] == name]
            row.append(" / ".join(f"{median(one[key] for one in runs):.0f}" for key in ("rps", "p50", "p99"))
                       if runs else "")
        rows.append(row)
    return ["## Requests/s and latency", "Requests/s / p50 / p99 in microseconds. The generator has one core and "
            "limits a fast proxy, so CPU for each request says more than requests/s.", _markdown(["workload", *names], rows)]


def _memory(records: list[dict]) -> list[str]:
    found = [one for one in records if one["kind"] == "memory"]
    if not found:
        return []
    cells: dict[str, dict[str, float]] = {}
    whole: dict[str, dict[str, float]] = {}
    for one in found:
        label = f"{one['workload']}, {one['connections']:,}"
        cells.setdefault(label, {})[one["peer"]] = one["kib_per_connection"]
        for moment in ("before", "held", "after"):
            whole.setdefault(f"{label} {moment}", {})[one["peer"]] = one[f"{moment}_kib"] / 1024
    return ["## Memory of an idle keep-alive connection", "KiB for each connection that has had one response.",
            _table("", cells, lambda value: f"{value:.2f}"),
            "MiB of the whole process before, while they are held, and after they have closed.",
            _table("", whole, lambda value: f"{value:.1f}", ratios=False)]


def _allocations(records: list[dict]) -> list[str]:
    found = [one for one in records if one["kind"] == "allocations"]
    if not found:
        return []
    rows = [[one["workload"], f"{one['per_request']:.4f}", f"{one['bytes_per_request']:.1f}"] for one in found]
    return ["## Allocations of rosn in the steady state",
            _markdown(["workload", "for each request", "bytes for each request"], rows)]


def _routes(records: list[dict]) -> list[str]:
    cells = _medians([one for one in records if one.get("workload") == "routes"], "cpu", "workload", "cost")
    if not cells:
        return []
    return ["## A large route table", "CPU microseconds for each request, with 10 and with 10,000 virtual hosts of ten "
            "routes each; requests name a random host and route.", _table("workload", cells, lambda value: f"{value:.3g}")]


def _medians(records: list[dict], kind: str, key: str, value: str) -> dict[str, dict[str, float]]:
    runs: dict[str, dict[str, list[float]]] = {}
    for one in records:
        if one["kind"] == kind:
            runs.setdefault(one[key], {}).setdefault(one["peer"], []).append(one[value])
    order = _workloads([one for one in records if one["kind"] == kind])
    return {name: {peer: median(values) for peer, values in runs[name].items()} for name in order}


def _spread(records: list[dict]) -> str:
    """Says which figures to doubt."""
    doubtful = []
    for name in _workloads([one for one in records if one["kind"] == "cpu"]):
        for peer in _ordered({one["peer"] for one in records}):
            runs = [one for one in records if one.get("workload") == name and one["peer"] == peer and one["kind"] == "cpu"]
            costs = [one["cost"] for one in runs]
            if runs and (max(costs) - min(costs)) / median(costs) > 0.15:
                doubtful.append(f"{name} {peer} ({min(costs):.3g} to {max(costs):.3g})")
            failed = sum(one.get("errors", 0) + one.get("non2xx", 0) for one in runs)
            if failed:
                doubtful.append(f"{name} {peer} ({failed} failed requests)")
    return "To be doubted: " + ("; ".join(doubtful) if doubtful else "none") + "."


def _table(corner: str, cells: dict[str, dict[str, float]], show, ratios: bool = True) -> str:
    names = _ordered({peer for row in cells.values() for peer in row})
    rows = []
    for label, row in cells.items():
        own = row.get("rosn") if ratios else None
        line = [label]
        for name in names:
            if name not in row:
                line.append("")
            elif own is None or name == "rosn" or row[name] <= 0:
                line.append(show(row[name]))
            else:
                line.append(f"{show(row[name])} ({own / row[name]:.2f})")
        rows.append(line)
    return _markdown([corner, *names], rows)


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def _ordered(names: set[str]) -> list[str]:
    return sorted(names, key=lambda name: (not name.startswith("rosn"), len(name) if name.startswith("rosn") else 0, name))


def _workloads(records: list[dict]) -> list[str]:
    names = dict.fromkeys(one["workload"] for one in records if "workload" in one)
    order = [*CPU]
    return sorted(names, key=lambda name: order.index(name) if name in CPU else len(order))
