"""Tables and plots of `masses`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from mass_cases import COMBINATIONS, make_case

from spinemri.training.visits import CONTRASTS

__all__ = ["ALONE", "area_under_roc", "draw", "print_tables"]

Record = dict[str, Any]
Groups = dict[str, tuple[str, Callable[[Record], bool]]]
ALONE = tuple(CONTRASTS)
ROWS = tuple(f"{study}{click}" for click in ("", ", click") for study in COMBINATIONS)
SIZES = {"0.5-2 ml": (0.0, 2.0), "2-6 ml": (2.0, 6.0), "over 6 ml": (6.0, 1e9)}
FALSE_ML = 0.2


def read(folder: Path, kind: str) -> dict[str, Record]:
    """Read the stored records of a kind, by name."""
    found = {path.stem.removeprefix(f"{kind}-"): json.loads(path.read_text()) for path in folder.glob(f"{kind}-*.json")}
    return {name: found[name] for name in sorted(found) if found[name] is not None}


def print_tables(folder: Path) -> None:
    """Print everything as Markdown."""
    masses, free = read(folder, "mass"), read(folder, "free")
    print(f"\nNetwork {folder.name}; {len(masses)} masses, {len(free)} scans without one.\n")
    _print_split(masses, "sequences", {row: (row, lambda _: True) for row in ROWS})
    for key in ("region", "position", "enhancement"):
        values = sorted({record[key] for record in masses.values()})
        row = "T1+C FS" if key == "enhancement" else "all"
        _print_split(masses, f"{key} ({row})", {value: (row, _is(key, value)) for value in values})
    _print_split(masses, "size (all)", {name: ("all", _between(*limits)) for name, limits in SIZES.items()})
    _print_free(free)
    _print_recoloured(read(folder, "recoloured"))
    studies = read(folder, "study")
    for row in COMBINATIONS:
        scores = [record["results"][row]["existence"] for record in masses.values()]
        false = sum(record["results"][row]["volume_ml"] > FALSE_ML for record in studies.values())
        area = area_under_roc(healthy_scores(free, studies, row), scores)
        print(
            f"\n{row}: false masses in {false} of {len(studies)} healthy studies; area under the ROC curve {area:.3f}"
        )


def healthy_scores(free: dict[str, Record], studies: dict[str, Record], row: str) -> list[float]:
    """Existence of what healthy scans show: the studies on this row, and for one sequence alone every single scan."""
    alone = [record["existence"] for record in free.values()] if row in ALONE else []
    return alone + [record["results"][row]["existence"] for record in studies.values()]


def _is(key: str, value: str) -> Callable[[Record], bool]:
    return lambda record: bool(record[key] == value)


def _between(low: float, high: float) -> Callable[[Record], bool]:
    return lambda record: low <= record["truth_ml"] < high


def _print_split(
    masses: dict[str, Record], title: str, groups: dict[str, tuple[str, Callable[[Record], bool]]]
) -> None:
    print(
        f"\n| {title} | masses | found from 0.5 ml | Dice from 2 ml | absolute error % from 2 ml | bias % | "
        "surface mm |\n|---|---|---|---|---|---|---|"
    )
    for name, (row, wanted) in groups.items():
        chosen = [record for record in masses.values() if wanted(record)]
        print(f"| {name} | {len(chosen)} | {_cells(chosen, row)} |")


def _cells(records: list[Record], row: str) -> str:
    """Sensitivity, then medians over masses of 2 ml and more (of all where there are none)."""
    seen = [record["results"][row]["volume_ml"] > 0 for record in records if record["truth_ml"] >= 0.5]
    large = [record for record in records if record["truth_ml"] >= 2.0] or records
    errors = errors_percent(large, row)
    overlap = np.median([record["results"][row]["dice"] for record in large])
    distances = [record["results"][row]["surface_mm"] for record in large]
    known = [value for value in distances if value is not None]
    surface = f"{np.median(known):.2f}" if known else "-"
    return (
        f"{np.mean(seen):.2f} | {overlap:.2f} | {np.median(np.abs(errors)):.1f} | {np.median(errors):+.1f} | {surface}"
    )


def errors_percent(records: Iterable[Record], row: str) -> list[float]:
    """Error of the volume in per cent of the truth."""
    return [100 * (record["results"][row]["volume_ml"] / record["truth_ml"] - 1) for record in records]


def _print_free(free: dict[str, Record]) -> None:
    false = {name: record for name, record in free.items() if record["volume_ml"] > FALSE_ML}
    print(f"\nWithout a mass: more than {FALSE_ML} ml reported in {len(false)} of {len(free)} scans.")
    for name, record in false.items():
        print(f"- {name} ({record['weighting']}): {record['volume_ml']:.2f} ml, score {record['existence']:.2f}")


def _print_recoloured(scans: dict[str, Record]) -> None:
    print("\nThe T2 scans among them recoloured:")
    for contrast in dict.fromkeys(record["contrast"] for record in scans.values()):
        chosen = {name: record for name, record in scans.items() if record["contrast"] == contrast}
        false = [f"{n} ({r['volume_ml']:.2f} ml)" for n, r in chosen.items() if r["volume_ml"] > FALSE_ML]
        print(f"- {contrast}: {len(false)} of {len(chosen)} {', '.join(false)}")


def area_under_roc(without: list[float], with_mass: list[float]) -> float:
    """Share of pairs in which the scan with a mass has the higher score; ties count a half (Mann and Whitney 1947)."""
    low, high = np.array(without)[:, None], np.array(with_mass)[None]
    return float(((high > low) + 0.5 * (high == low)).mean())


def draw(folder: Path, out: Path) -> None:
    """Draw ROC curve, Bland-Altman plot and the ten worst cases."""
    masses, free, studies = (read(folder, kind) for kind in ("mass", "free", "study"))
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    _draw_roc(left, masses, free, studies)
    _draw_bland_altman(right, masses)
    figure.savefig(out / "masses.png", dpi=110, metadata={"Software": None})
    plt.close(figure)
    _draw_worst(masses, out / "masses-worst.png")


def _draw_roc(axes: plt.Axes, masses: dict[str, Record], free: dict[str, Record], studies: dict[str, Record]) -> None:
    for row in (*ALONE, "all"):
        negatives = np.array(healthy_scores(free, studies, row))
        positives = np.array([record["results"][row]["existence"] for record in masses.values()])
        limits = np.r_[np.inf, np.unique(np.r_[negatives, positives])[::-1]]
        false, true = [[(values >= limit).mean() for limit in limits] for values in (negatives, positives)]
        axes.step(false, true, where="post", label=f"{row}: {area_under_roc(list(negatives), list(positives)):.3f}")
    axes.set(
        xlabel="healthy scans above a probability", ylabel="masses above it", title="Probability that there is a mass"
    )
    axes.legend(title="area", loc="lower right")


def _draw_bland_altman(axes: plt.Axes, masses: dict[str, Record]) -> None:
    for row, marker in (("T2", "x"), ("all", "o")):
        truth = np.array([record["truth_ml"] for record in masses.values()])
        error = np.array(errors_percent(masses.values(), row))
        axes.plot(truth, error, marker, label=f"{row}: median {np.median(error):+.1f} %", alpha=0.7, markersize=5)
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set(xscale="log", xlabel="true volume (ml)", ylabel="error of the volume (%)", title="Volume", ylim=(-105, 80))
    axes.legend()


def _draw_worst(masses: dict[str, Record], path: Path) -> None:
    data = Path(os.environ.get("SPINEMRI_DATA", "../shared/data"))
    worst = sorted(masses, key=lambda name: masses[name]["results"]["all"]["dice"])[:10]
    figure, axes = plt.subplots(2, 10, figsize=(20, 7), layout="constrained")
    for column, name in enumerate(worst):
        case = make_case(data, name)
        if case is None:
            continue
        index = int(case.coverage.sum((1, 2)).argmax())
        rows, columns = (np.flatnonzero(case.coverage[index].any(axis)) for axis in (1, 0))
        view = (slice(max(0, rows[0] - 30), rows[-1] + 30), slice(max(0, columns[0] - 30), columns[-1] + 30))
        for axis, contrast in zip(axes[:, column], ("T2", "T1+C FS"), strict=True):
            plane = case.images[contrast].array[index][view]
            axis.imshow(plane.T, origin="lower", cmap="gray", vmax=np.percentile(plane, 99.5))
            axis.contour(case.coverage[index][view].T, [0.5], colors="tab:red", linewidths=0.7)
            axis.axis("off")
        result = masses[name]["results"]["all"]
        title = (
            f"{name}\n{masses[name]['truth_ml']:.1f} ml, measured {result['volume_ml']:.1f}\nDice {result['dice']:.2f}"
        )
        axes[0, column].set_title(title, fontsize=8)
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)
