from typing import Any

from django import forms

from feedback.models import Feedback
from feedback.services import allows_expected
from feedback.text import normalize_text
from predictions import labels

EXPECTED_MAX_LENGTH = 200
COMMENT_MAX_LENGTH = 2000


class NormalizedTextField(forms.CharField):
    """A text field whose value can always be stored and shown."""

    def to_python(self, value: Any) -> str:
        return normalize_text(super().to_python(value) or "")


class FeedbackForm(forms.Form):
    """The feedback form of the result page. `FeedbackSerializer` is its counterpart for the API."""

    verdict = forms.ChoiceField(
        choices=[
            (Feedback.Verdict.RIGHT, "Yes"),
            (Feedback.Verdict.WRONG, "No"),
            (Feedback.Verdict.UNSURE, "Not sure"),
        ],
        error_messages={"required": "Please choose whether the answer is right."},
    )
    expected_label = NormalizedTextField(required=False, max_length=EXPECTED_MAX_LENGTH)
    expected_words = NormalizedTextField(required=False, max_length=EXPECTED_MAX_LENGTH)
    comment = NormalizedTextField(required=False, max_length=COMMENT_MAX_LENGTH)

    # Labels that the visitor may have meant, if they typed an unknown one.
    suggestions: tuple[labels.Entry, ...] = ()

    def clean(self) -> dict[str, Any]:
        """Drops the fields that the page hides: text typed for a "No" before another verdict was chosen."""
        verdict = self.cleaned_data.get("verdict")
        if verdict and not allows_expected(verdict):
            for name in ("expected_label", "expected_words"):
                self.errors.pop(name, None)
                self.cleaned_data[name] = ""
        if self.files:
            raise forms.ValidationError("This form takes text only. Files are not stored.", code="file-not-accepted")
        return self.cleaned_data

    @classmethod
    def for_statement(cls, statement: Feedback | None) -> "FeedbackForm":
        """Returns the form filled in with a statement, or an empty form for `None`."""
        if statement is None:
            return cls()
        initial = {name: getattr(statement, name) for name in ("verdict", "expected_words", "comment")}
        return cls(initial=initial | {"expected_label": labels.Entry(statement.expected_label).name})
