"""The formats of dates and times on all pages. Django prefers its own formats of the language to those in settings."""

DATE_FORMAT = "Y-m-d"
DATETIME_FORMAT = "Y-m-d H:i e"  # with the name of the time zone
