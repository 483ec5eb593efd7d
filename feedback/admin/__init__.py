"""Feedback and the reviewing desk in Django's admin."""

from feedback.admin.statements import FeedbackAdmin

__all__ = ["FeedbackAdmin"]
