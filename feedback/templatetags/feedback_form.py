from dataclasses import dataclass
from typing import Any

from django import template

from feedback import authors, selectors
from feedback.expected import MAX_LENGTH as EXPECTED_MAX_LENGTH
from feedback.forms import COMMENT_MAX_LENGTH, FeedbackForm
from feedback.models import Feedback
from predictions.models import Prediction
from predictions.templatetags.labels import percent, readable

register = template.Library()


@dataclass(frozen=True)
class Headline:
    """What the result page says that the picture shows, and who says so."""

    title: str
    explanation: str


@register.simple_tag(takes_context=True)
def visitors_statement(context: dict[str, Any], prediction: Prediction) -> Feedback | None:
    """Returns the visitor's current statement about an answer."""
    return selectors.author_feedback(prediction, authors.known_visitor(context["request"]))


@register.simple_tag
def headline(prediction: Prediction, statement: Feedback | None, decision: Any) -> Headline:
    """Returns the reviewer's label if there is a decision, else the visitor's correction, else the model's answer.

    An uncertain answer is called so until a person has confirmed it.
    """
    answer, score = readable(prediction.label), f"{percent(prediction.score or 0)} sure"
    models_answer = f"The model said “{answer}” and was {score}."
    decided = (decision.label or decision.proposed_label) if decision else ""
    if decided and decided != prediction.label:
        return Headline(readable(decided), f"A reviewer's decision. {models_answer}")
    if statement and statement.verdict == Feedback.Verdict.WRONG and not decided:
        expected = readable(statement.expected_label) or statement.expected_words
        if expected:
            return Headline(expected, f"Your correction. {models_answer}")
        return Headline(f"Not “{answer}”", f"Your correction. {models_answer}")
    is_confirmed = bool(decided) or (statement is not None and statement.verdict == Feedback.Verdict.RIGHT)
    if prediction.is_uncertain and not is_confirmed:
        return Headline(f"Perhaps {answer}", f"Only {score}. It may well be something else.")
    return Headline(answer, score)


@register.inclusion_tag("feedback/form.html", takes_context=True)
def feedback_form(
    context: dict[str, Any],
    prediction: Prediction,
    statement: Feedback | None,
    decision: Any,
    form: FeedbackForm | str = "",
) -> dict[str, Any]:
    """Shows the visitor's statement, the reviewer's decision, and the form that asks whether an answer is right.

    `decision`: an object with `verdict`, `label` and `proposed_label`; falsy as long as no reviewer has decided.
    `form`: a submitted form with errors.
    """
    return {
        "prediction": prediction,
        "form": form or FeedbackForm.for_statement(statement),
        "statement": statement,
        "decision": decision,
        "other_labels": _other_labels(prediction),
        "is_reviewed": _is_reviewed(prediction, statement, decision),
        # A statement cannot be changed after the decision.
        "can_give_feedback": not (statement and decision),
        "expected_max_length": EXPECTED_MAX_LENGTH,
        "comment_max_length": COMMENT_MAX_LENGTH,
        "csrf_token": context.get("csrf_token"),
        "request": context["request"],
    }


def _other_labels(prediction: Prediction) -> list[str]:
    """Returns the other labels among the best. Two classes may share a label, which is listed once."""
    return [label for label in dict.fromkeys(str(label) for label, _ in prediction.top) if label != prediction.label]


def _is_reviewed(prediction: Prediction, statement: Feedback | None, decision: Any) -> bool:
    """Returns whether a reviewer will look at what the visitor has said."""
    if statement is None or decision or statement.verdict == Feedback.Verdict.RIGHT:
        return False
    return selectors.awaits_review(prediction)
