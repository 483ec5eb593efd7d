"""The time and the model version that the statistics cover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Self
from urllib.parse import urlencode

WINDOWS = {"30": "30 days", "90": "90 days", "365": "365 days", "all": "All time"}
DEFAULT_WINDOW = "90"


def _today() -> date:
    return datetime.now(UTC).date()


@dataclass(frozen=True)
class StatisticsFilter:
    """What the user selected.

    `window`: one of `WINDOWS`, in UTC days that end with today. `model_version`: empty for all.
    """

    window: str = DEFAULT_WINDOW
    model_version: str = ""
    today: date = field(default_factory=_today)

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Read a URL query. Unknown values are ignored, as in the queue, so that bookmarks keep working."""
        window = query.get("days", "")
        version = query.get("model_version", "").replace("\x00", "")[:120]
        return cls(window if window in WINDOWS else DEFAULT_WINDOW, version)

    @property
    def days(self) -> int | None:
        """`None`: all time."""
        return None if self.window == "all" else int(self.window)

    @property
    def first_day(self) -> date | None:
        """`None`: from the beginning."""
        return None if self.days is None else self.today - timedelta(days=self.days - 1)

    @property
    def since(self) -> datetime | None:
        """The start of the first day. `None`: from the beginning."""
        return None if self.first_day is None else datetime.combine(self.first_day, time.min, UTC)

    @property
    def query_string(self) -> str:
        """For a URL, without the question mark."""
        return self.query_string_for(self.model_version)

    def query_string_for(self, model_version: str) -> str:
        """Return the query string for another version and the same time."""
        version = {"model_version": model_version} if model_version else {}
        return urlencode({"days": self.window} | version)
