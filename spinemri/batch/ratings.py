"""What a person says of each case in the gallery: pass, fix or exclude."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spinemri.batch.bids_tree import read_table
from spinemri.errors import InputError

__all__ = ["Rating", "as_text", "read_ratings", "stored_ratings", "with_stored"]

_WORDS = ("pass", "fix", "exclude")


@dataclass(frozen=True)
class Rating:
    """One case as rated.

    Attributes
    ----------
    subject, visit : str
    rating : {"pass", "fix", "exclude"}
    note : str
    rated : str
        When, as the page wrote it; tells a new rating from an old one.
    """

    subject: str
    visit: str
    rating: str
    note: str = ""
    rated: str = ""


def read_ratings(path: Path) -> tuple[Rating, ...]:
    """Read the ratings that the gallery exported, JSON or CSV.

    Raises
    ------
    InputError
        BAD_RATINGS.
    """
    try:
        rows = _json_rows(path) if path.suffix.lower() == ".json" else read_table(path)
    except (OSError, ValueError) as error:
        raise _refused(f"{path.name} cannot be read ({type(error).__name__}).") from None
    except InputError as error:
        raise _refused(error.message) from None
    return tuple(_rating(row) for row in rows if row.get("rating"))


def _json_rows(path: Path) -> list[dict[str, Any]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    rows = content.get("ratings") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _refused(f"{path.name} holds no ratings.")
    return rows


def _refused(message: str) -> InputError:
    return InputError("BAD_RATINGS", message, "Give the file that the gallery exported.")


def _rating(row: Mapping[str, Any]) -> Rating:
    values = {name: str(row.get(name) or "") for name in ("subject", "visit", "rating", "note", "rated")}
    if values["rating"] not in _WORDS or not values["subject"] or not values["visit"]:
        what = f"{values['subject']} {values['visit']} is rated {values['rating']!r}."
        raise _refused(f"{what} Ratings are {', '.join(_WORDS)}, of a subject and a visit.")
    return Rating(**values)


def with_stored(given: tuple[Rating, ...], stored: tuple[Rating, ...]) -> tuple[Rating, ...]:
    """Return all ratings, those just given in place of earlier ones of the same visits."""
    by_visit = {(rating.subject, rating.visit): rating for rating in (*stored, *given)}
    return tuple(by_visit[visit] for visit in sorted(by_visit))


def stored_ratings(text: str) -> tuple[Rating, ...]:
    """Read ratings from the journal."""
    return tuple(Rating(**row) for row in json.loads(text or "[]"))


def as_text(ratings: tuple[Rating, ...]) -> str:
    """Return ratings as text for the journal."""
    return json.dumps([asdict(rating) for rating in ratings])
