"""Dates and times are written in one way, with their time zone."""

from datetime import UTC, datetime

from django.contrib.admin.utils import display_for_value
from django.template import Context, Template

MOMENT = datetime(2026, 11, 27, 0, 29, 59, tzinfo=UTC)


def test_templates_name_the_time_zone() -> None:
    template = Template('{{ moment|date:"DATETIME_FORMAT" }}, {{ moment|date:"DATE_FORMAT" }}, {{ moment }}')
    assert template.render(Context({"moment": MOMENT})) == "2026-11-27 00:29 UTC, 2026-11-27, 2026-11-27 00:29 UTC"


def test_lists_of_the_admin_name_the_time_zone() -> None:
    assert display_for_value(MOMENT, "-") == "2026-11-27 00:29 UTC"
