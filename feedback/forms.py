from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict

from feedback.expected import MAX_LENGTH as EXPECTED_MAX_LENGTH
from feedback.models import Feedback
from feedback.services import allows_expected
from feedback.text import normalize_text
from predictions import labels

COMMENT_MAX_LENGTH = 2000


class NormalizedTextField(forms.CharField):
    """A text field whose value can always be stored and shown."""

    def to_python(self, value: Any) -> str:
        return normalize_text(super().to_python(value) or "")


class FeedbackForm(forms.Form):
    """The feedback form of the result page. `FeedbackSerializer` is its counterpart for the API.

    `expected`: what the picture shows, as a label or in the visitor's own words. `expected_words`: more words, if a
    statement has both.
    """

    verdict = forms.ChoiceField(
        choices=[
            (Feedback.Verdict.RIGHT, "Yes"),
            (Feedback.Verdict.WRONG, "No"),
            (Feedback.Verdict.UNSURE, "Not sure"),
        ],
        error_messages={"required": "Please choose whether the answer is right."},
    )
    expected = NormalizedTextField(required=False, max_length=EXPECTED_MAX_LENGTH)
    expected_words = NormalizedTextField(required=False, max_length=EXPECTED_MAX_LENGTH)
    comment = NormalizedTextField(required=False, max_length=COMMENT_MAX_LENGTH)

    @classmethod
    def submitted(cls, post: QueryDict, files: MultiValueDict[str, Any]) -> "FeedbackForm":
        """Returns the form with the values of a request.

        Pages that a browser loaded before there was the field `expected` send the two fields `expected_label` and
        `expected_words` in its place.
        """
        values = post.dict()
        if "expected" not in values:
            label, words = str(values.get("expected_label", "")), str(values.get("expected_words", ""))
            values["expected"], values["expected_words"] = (label, words) if label.strip() else (words, "")
        return cls(values, files)

    @classmethod
    def for_statement(cls, statement: Feedback | None) -> "FeedbackForm":
        """Returns the form filled in with a statement, or an empty form for `None`."""
        if statement is None:
            return cls()
        label, words = labels.readable(statement.expected_label), statement.expected_words
        initial = {"verdict": statement.verdict, "comment": statement.comment, "expected": label or words}
        return cls(initial=initial | {"expected_words": words if label else ""})

    def clean(self) -> dict[str, Any]:
        """Drops the fields that the page hides: text typed for a "No" before another verdict was chosen."""
        verdict = self.cleaned_data.get("verdict")
        if verdict and not allows_expected(verdict):
            for name in ("expected", "expected_words"):
                self.errors.pop(name, None)
                self.cleaned_data[name] = ""
        if self.files:
            raise forms.ValidationError("This form takes text only. Files are not stored.", code="file-not-accepted")
        return self.cleaned_data
