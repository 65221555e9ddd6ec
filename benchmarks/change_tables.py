"""Tables and plots of `change`."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

__all__ = ["draw", "print_tables", "read"]

Record = dict[str, Any]
Chosen = Callable[[Record], bool]

LEAST_ML = 2.0
RADIOTHERAPY_FROM_ML = 3.0
ESTIMATES = {
    "unpaired": "two outlines, unpaired",
    "outlines": "paired: outlines",
    "boundary_shift": "paired: boundary shift",
    "complement": "paired: complement",
    "paired": "paired: combined",
}
STRATA: dict[str, Chosen] = {
    "0.5 to 2 ml": lambda r: r["volumes_ml"][0] < LEAST_ML,
    "2 to 5 ml": lambda r: LEAST_ML <= r["volumes_ml"][0] < 5,
    "5 to 20 ml": lambda r: r["volumes_ml"][0] >= 5,
    "loss over 30 %": lambda r: r["change_percent"] < -30,
    "loss up to 30 %": lambda r: -30 <= r["change_percent"] < 0,
    "no change": lambda r: r["change_percent"] == 0,
    "gain": lambda r: r["change_percent"] > 0,
    "same slices": lambda r: r["pitch_mm"][0] == r["pitch_mm"][1],
    "3 mm, then 4 mm": lambda r: r["pitch_mm"][0] != r["pitch_mm"][1],
    "circumferential": lambda r: r["shape"] == "circumferential",
}


def read(folder: Path) -> list[Record]:
    """Read all records, in order of their seeds."""
    records = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    return sorted(records, key=lambda record: int(record["seed"]))


def value(record: Record, estimate: str) -> tuple[float, tuple[float, float]] | None:
    """Return change and interval of one estimate in per cent; None where there is none."""
    found = record[estimate] if estimate in ("unpaired", "paired") else record["estimates"].get(estimate)
    if found is None or found[0] is None or found[1] is None:
        return None
    return found[0], (found[1][0], found[1][1])


def errors(records: list[Record], estimate: str) -> NDArray[np.float64]:
    """Errors in percentage points of the pairs that have the estimate."""
    found = ((value(record, estimate), record["change_percent"]) for record in records)
    return np.array([one[0] - true for one, true in found if one is not None])


def coverage_percent(records: list[Record], estimate: str) -> float:
    """Share of 95 % intervals that hold the truth, in per cent."""
    found = [(value(record, estimate), record["change_percent"]) for record in records]
    held = [one[1][0] <= true <= one[1][1] for one, true in found if one is not None]
    return 100 * float(np.mean(held)) if held else float("nan")


def print_tables(records: list[Record], network: str) -> None:
    """Print everything as Markdown."""
    large = [record for record in records if record["volumes_ml"][0] >= LEAST_ML]
    print(f"Network {network}; {len(records)} pairs, {len(large)} of them with {LEAST_ML:.0f} ml or more at baseline.")
    print(f"\nFrom {LEAST_ML:.0f} ml:\n")
    _print_estimates(large)
    print("\nAll:\n")
    _print_estimates(records)
    print("\n| pairs | number | unpaired (points) | paired (points) | bias | 95 % covers | called a change |")
    print("|---|---|---|---|---|---|---|")
    for name, chosen in STRATA.items():
        print(_stratum(name, [record for record in records if chosen(record)]))
    _print_calls(records)


def _print_estimates(records: list[Record]) -> None:
    print(
        "| estimate | pairs | mean absolute error (points) | median | bias | 95 % covers |\n|---|---|---|---|---|---|"
    )
    for estimate, title in ESTIMATES.items():
        error = errors(records, estimate)
        if len(error):
            size = np.abs(error)
            covers = coverage_percent(records, estimate)
            print(
                f"| {title} | {len(error)} | {size.mean():.2f} | {np.median(size):.2f} | {error.mean():+.2f} | "
                f"{covers:.0f} % |"
            )


def _stratum(name: str, records: list[Record]) -> str:
    unpaired, paired = errors(records, "unpaired"), errors(records, "paired")
    called = sum(record["verdict"] in ("decreased", "increased") for record in records)
    if not len(paired) or not len(unpaired):
        return f"| {name} | {len(records)} | - | - | - | - | {called} |"
    return (
        f"| {name} | {len(records)} | {np.abs(unpaired).mean():.2f} | {np.abs(paired).mean():.2f} | "
        f"{paired.mean():+.2f} | {coverage_percent(records, 'paired'):.0f} % | {called} |"
    )


def _print_calls(records: list[Record]) -> None:
    """Print the two calls that matter: the loss after radiotherapy, and no change."""
    treated = [r for r in records if r["kind"] == "radiotherapy" and r["volumes_ml"][0] >= RADIOTHERAPY_FROM_ML]
    called = sum(record["verdict"] == "decreased" for record in treated)
    print(f"\nA loss of 16.4 % from {RADIOTHERAPY_FROM_ML:.0f} ml: called decreased in {called} of {len(treated)}.")
    still = [record for record in records if record["change_percent"] == 0]
    quiet = sum(record["verdict"] == "not_distinguishable" for record in still)
    print(f"No change: not distinguishable in {quiet} of {len(still)}.")
    missing = [record for record in records if record["basis"] != "paired"]
    print(f"Without a paired change: {len(missing)} ({', '.join(str(r['seed']) for r in missing) or 'none'}).")
    unseen = [record for record in records if not all(record["measured_ml"])]
    print(f"No mass found at one visit or both: {len(unseen)}.")
    apart = sum("CHANGE_ESTIMATES_DISAGREE" in record["flags"] for record in records)
    print(f"Estimates disagree in {apart}.")


def draw(records: list[Record], out: Path) -> None:
    """Draw measured against true change, Bland-Altman, coverage of the intervals and the calls."""
    figure, axes = plt.subplots(2, 2, figsize=(11, 9), layout="constrained")
    _draw_against_truth(axes[0, 0], records)
    _draw_bland_altman(axes[0, 1], records)
    _draw_intervals(axes[1, 0], records)
    _draw_calls(axes[1, 1], records)
    figure.savefig(out / "change.png", dpi=100, metadata={"Software": None})
    plt.close(figure)


def _draw_against_truth(axes: plt.Axes, records: list[Record]) -> None:
    for estimate, marker in (("unpaired", "x"), ("paired", "o")):
        found = [(r["change_percent"], one[0]) for r in records if (one := value(r, estimate))]
        if found:
            axes.plot(*np.array(found).T, marker, markersize=4, alpha=0.7, label=ESTIMATES[estimate])
    axes.axline((0, 0), slope=1, color="grey", linewidth=0.8)
    axes.set(xlabel="true change (%)", ylabel="measured change (%)", title="Measured against true change")
    axes.legend()


def _draw_bland_altman(axes: plt.Axes, records: list[Record]) -> None:
    """Differences against the means of measured and true change (Bland and Altman 1986)."""
    found = [(r["change_percent"], one[0]) for r in records if (one := value(r, "paired"))]
    if not found:
        return
    true, measured = np.array(found).T
    difference = measured - true
    mean, spread = difference.mean(), 1.96 * difference.std()
    axes.plot((true + measured) / 2, difference, "o", markersize=4, alpha=0.7)
    for level, style in ((mean, "-"), (mean - spread, "--"), (mean + spread, "--")):
        axes.axhline(level, color="tab:red", linestyle=style, linewidth=0.9)
    axes.set(
        xlabel="mean of measured and true change (%)",
        ylabel="measured - true (points)",
        title=f"Paired change: bias {mean:+.1f}, within {spread:.1f} points of it 95 %",
    )


def _draw_intervals(axes: plt.Axes, records: list[Record]) -> None:
    """Errors with their intervals, in order of the true volume."""
    ordered = sorted(records, key=lambda record: float(record["volumes_ml"][0]))
    found = [(r["volumes_ml"][0], r["change_percent"], one) for r in ordered if (one := value(r, "paired"))]
    if not found:
        return
    for place, (_, true, (_, (low, high))) in enumerate(found):
        colour = "tab:blue" if low <= true <= high else "tab:red"
        axes.plot([place, place], [low - true, high - true], color=colour, linewidth=0.8)
    ticks = np.linspace(0, len(found) - 1, 6).astype(int)
    axes.set_xticks(ticks, [f"{found[place][0]:.1f}" for place in ticks])
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set(
        xlabel="true volume at baseline (ml), in order",
        ylabel="95 % interval - truth (points)",
        title=f"Intervals: {coverage_percent(records, 'paired'):.0f} % hold the truth",
    )


def _draw_calls(axes: plt.Axes, records: list[Record]) -> None:
    """Share of verdicts by true change."""
    edges = [-60.5, -40, -25, -10, -0.01, 0.01, 10, 25, 40, 60.5]
    names, shares = [], []
    for low, high in pairwise(edges):
        here = [r["verdict"] for r in records if low <= r["change_percent"] < high]
        if here:
            names.append("0" if low < 0 < high else f"{low:.0f} to {high:.0f}")
            shares.append([here.count(v) / len(here) for v in ("decreased", "not_distinguishable", "increased")])
    if not shares:
        return
    bottom = np.zeros(len(names))
    for share, label in zip(np.array(shares).T, ("decreased", "not distinguishable", "increased"), strict=True):
        axes.bar(names, share, bottom=bottom, label=label)
        bottom += share
    axes.tick_params(axis="x", rotation=45)
    axes.set(xlabel="true change (%)", ylabel="share of pairs", title="Verdicts")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=3)
