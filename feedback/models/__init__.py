"""What people say of an answer, the cases that it opens, and what reviewers decide."""

from feedback.models.cases import Case, CaseQuerySet, Decision, Skip
from feedback.models.statements import LINE_ENDS, Feedback, FeedbackQuerySet

__all__ = ["LINE_ENDS", "Case", "CaseQuerySet", "Decision", "Feedback", "FeedbackQuerySet", "Skip"]
