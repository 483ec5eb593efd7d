"""What people say of an answer, the cases that it opens, what reviewers decide, and the data sets made of that."""

from feedback.models.cases import Case, CaseQuerySet, Decision, Skip
from feedback.models.exports import Export, ExportQuerySet
from feedback.models.statements import LINE_ENDS, Feedback, FeedbackQuerySet

__all__ = [
    "LINE_ENDS",
    "Case",
    "CaseQuerySet",
    "Decision",
    "Export",
    "ExportQuerySet",
    "Feedback",
    "FeedbackQuerySet",
    "Skip",
]
