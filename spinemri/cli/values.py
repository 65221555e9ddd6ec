"""Values of options, as text from the command line."""

from __future__ import annotations

from typing import get_args

from spinemri.config import Config, SegmentationSettings
from spinemri.errors import UsageError
from spinemri.pipeline.points import parse_level, parse_levels, parse_point

__all__ = ["parse_level", "parse_levels", "parse_point", "with_segmenter"]


def with_segmenter(config: Config, name: str | None, *, has_labels: bool) -> Config:
    """Put ``--segmenter`` into the settings.

    Raises
    ------
    UsageError
        BAD_SEGMENTER if there is no such tool, or masks were given, too.
    """
    if name is None:
        return config
    known = get_args(SegmentationSettings.model_fields["engine"].annotation)
    if name not in known:
        raise UsageError("BAD_SEGMENTER", f"--segmenter got {name!r}.", f"Give one of {', '.join(known)}.")
    if has_labels:
        raise UsageError("BAD_SEGMENTER", f"Both --labels and --segmenter {name} were given.", "Give one of them.")
    return config.model_copy(update={"segmentation": config.segmentation.model_copy(update={"engine": name})})
