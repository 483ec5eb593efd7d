"""Dates and times on pages are written in one way, with the time zone."""

from datetime import UTC, date, datetime

from django.template import Context, Template
from django.utils.formats import date_format


def test_times_have_their_time_zone() -> None:
    moment = datetime(2026, 11, 26, 23, 50, tzinfo=UTC)
    assert date_format(moment, "DATETIME_FORMAT") == "2026-11-26 23:50 UTC"
    assert Template("{{ moment }}").render(Context({"moment": moment})) == "2026-11-26 23:50 UTC"


def test_days_are_written_as_in_times() -> None:
    assert Template("{{ day }}").render(Context({"day": date(2026, 11, 26)})) == "2026-11-26"
