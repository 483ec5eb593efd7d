from typing import Any

from django import forms

from feedback.models import Feedback
from feedback.text import normalize_text
from predictions import labels

EXPECTED_MAX_LENGTH = 200
COMMENT_MAX_LENGTH = 2000


class WordsField(forms.CharField):
    """Text that people type: whatever they send, it can be stored and shown."""

    def to_python(self, value: Any) -> str:
        return normalize_text(super().to_python(value) or "")


class FeedbackForm(forms.Form):
    """What a person says of an answer, in the form of the result page. `FeedbackSerializer` is the same for the API."""

    verdict = forms.ChoiceField(
        choices=[
            (Feedback.Verdict.RIGHT, "Yes"),
            (Feedback.Verdict.WRONG, "No"),
            (Feedback.Verdict.UNSURE, "Not sure"),
        ],
        error_messages={"required": "Please say first whether the answer is right."},
    )
    expected_label = WordsField(required=False, max_length=EXPECTED_MAX_LENGTH)
    expected_words = WordsField(required=False, max_length=EXPECTED_MAX_LENGTH)
    comment = WordsField(required=False, max_length=COMMENT_MAX_LENGTH)

    # What may be meant by an expected label that is unknown.
    suggestions: tuple[labels.Entry, ...] = ()

    def clean(self) -> dict[str, Any]:
        """What it is instead belongs to a "no". Under other answers it is out of sight, whatever was typed before."""
        if self.cleaned_data.get("verdict", Feedback.Verdict.WRONG) != Feedback.Verdict.WRONG:
            for name in ("expected_label", "expected_words"):
                self.errors.pop(name, None)
                self.cleaned_data[name] = ""
        if self.files:
            raise forms.ValidationError("This form takes text only. Files are not stored.", code="file-not-accepted")
        return self.cleaned_data

    @classmethod
    def of(cls, statement: Feedback | None) -> "FeedbackForm":
        """The form as it was filled in for a statement; empty for none."""
        if statement is None:
            return cls()
        initial = {name: getattr(statement, name) for name in ("verdict", "expected_words", "comment")}
        return cls(initial=initial | {"expected_label": labels.Entry(statement.expected_label).name})
