"""Outlined studies: some sequences of a study for the second network, and the outlines that came of them.

A network that has learned to correct the outlines of single visits is what the training of the third one, which sees
two visits, begins with. What the first two networks and the signals (`spinemri.mass.segment.outline_mass`) make of a
study depends on which of its sequences there are, so every choice of them is a study of its own.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemri.anatomy.model import TissueMap
from spinemri.config import Config
from spinemri.mass.canal_input import WORKING_MM
from spinemri.mass.refine import refine_where_found
from spinemri.mass.second_look import SequenceImage, look_again
from spinemri.training.canal_samples import said_together
from spinemri.training.canal_studies import CanalStudy, load_study, save_study, study_weights
from spinemri.volume import Volume

__all__ = ["CHOICES", "outlined_study", "outlined_weights", "prepare_outlined"]

CHOICES: dict[str, tuple[float, float]] = {
    "all": (1.0, 0.45),
    "02": (0.9, 0.25),
    "0": (0.45, 0.2),
    "03": (0.45, 0.25),
    "23": (0.45, 0.2),
    "3": (0.3, 0.12),
    "2": (0.3, 0.15),
}
"""Places in `spinemri.mass.canal_input.SLOTS`; of how many studies the choice is made, and how often it is drawn."""

_KINDS = (("T2", False, False), ("T2", True, False), ("T1", False, False), ("T1", True, True))
"""Weighting, fat suppression and contrast agent by place."""


def prepare_outlined(studies: Path, cache: Path) -> None:
    """Outline the studies of a folder in every choice of their sequences; files that exist are kept.

    Parameters
    ----------
    studies : Path
        Written by ``prepare-canal``.
    cache : Path
        Receives the outlined studies.
    """
    for file in sorted(studies.glob("*.npz")):
        study = load_study(file)
        for choice, (share, _) in CHOICES.items():
            path = cache / f"{file.stem}-s{choice}.npz"
            number = zlib.crc32(path.stem.encode())
            chosen = _chosen(study, choice)
            if number / 2**32 < share and chosen and not path.exists():
                save_study(outlined_study(study, chosen, np.random.default_rng(number)), path)


def _chosen(study: CanalStudy, choice: str) -> list[int]:
    """Sequences of a choice; none if the study lacks one of them, or has no others."""
    every = list(range(len(study.slots)))
    if choice == "all":
        return every
    chosen = [n for n in every if str(study.slots[n]) in choice]
    return chosen if len(choice) == len(chosen) < len(every) else []


def outlined_study(study: CanalStudy, chosen: Sequence[int], rng: np.random.Generator) -> CanalStudy:
    """Outline a study as a run would from some of its sequences.

    Parameters
    ----------
    study : CanalStudy
        With what the first network said of every sequence.
    chosen : sequence of int
        Sequences.
    rng : numpy.random.Generator
        Makes the first network wrong, as for the second network's samples.

    Returns
    -------
    CanalStudy
        Of the chosen sequences, with one reading of all of them.
    """
    affine = np.diag([study.pitch_mm, WORKING_MM, WORKING_MM, 1.0])
    readings = np.asarray(study.readings[list(chosen)], dtype=np.float32) / np.float32(255)
    together = said_together(study, chosen, readings, rng)
    tissues = TissueMap(together, affine, "training")
    images = [_image(study, n, affine) for n in sorted(chosen, key=lambda n: _KINDS[int(study.slots[n])][2])]
    settings = Config().mass
    outlined = refine_where_found(look_again(tissues, images), [one.image for one in images], settings)
    return replace(
        study,
        images=study.images[list(chosen)],
        slots=study.slots[list(chosen)],
        fat_suppressed=study.fat_suppressed[list(chosen)],
        readings=np.rint(255 * outlined.coverage).astype(np.uint8)[None],
        outlined=True,
    )


def _image(study: CanalStudy, number: int, affine: NDArray[np.float64]) -> SequenceImage:
    weighting, suppressed, enhanced = _KINDS[int(study.slots[number])]
    image = Volume(study.images[number].astype(np.float32), affine, "training")
    return SequenceImage(image, weighting, bool(study.fat_suppressed[number]) if enhanced else suppressed, enhanced)


def outlined_weights(names: Sequence[str]) -> list[float]:
    """Give every choice of sequences its share within the families of `study_weights`.

    Parameters
    ----------
    names : sequence of str
        Stems of the files that `prepare_outlined` wrote.

    Returns
    -------
    list of float
    """
    parts = [re.fullmatch(r"(.+)-s(all|\d+)", name) for name in names]
    families = study_weights([part[1] if part else name for part, name in zip(parts, names, strict=True)])
    shares = [CHOICES[part[2]][1] if part else 1.0 for part in parts]
    return [family * share for family, share in zip(families, shares, strict=True)]
