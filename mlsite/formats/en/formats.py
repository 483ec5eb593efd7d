"""How dates and times are written. Django takes the formats of its own English before those of the settings."""

DATE_FORMAT = "Y-m-d"
DATETIME_FORMAT = "Y-m-d H:i e"  # with the name of the time zone
