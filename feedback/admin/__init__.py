"""Feedback and the reviewing desk in Django's admin."""

from feedback.admin.cases import CaseAdmin
from feedback.admin.exports import ExportAdmin
from feedback.admin.statements import FeedbackAdmin

__all__ = ["CaseAdmin", "ExportAdmin", "FeedbackAdmin"]
