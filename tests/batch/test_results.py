"""Days between visits, whatever stands in the headers."""

import pytest

from spinemri.batch.results import _between


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2024-02-01", "2024-03-01", 29),
        ("2024-03-01", "2024-02-01", -29),
        ("2024-02-30", "2024-03-01", None),
        ("2024-02-01", "0000-00-00", None),
        ("", "2024-03-01", None),
        ("2024-03-01", "", None),
    ],
)
def test_days_are_counted_between_dates_that_exist(start, end, days):
    assert _between(start, end) == days
