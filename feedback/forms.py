from django import forms

from feedback.models import Feedback

COMMENT_MAX_LENGTH = 2000


class FeedbackForm(forms.Form):
    """What a person says of an answer, in the form of the result page. `FeedbackSerializer` is the same for the API."""

    verdict = forms.ChoiceField(choices=Feedback.Verdict.choices, initial=Feedback.Verdict.WRONG)
    expected_label = forms.CharField(required=False, max_length=200, strip=True)
    comment = forms.CharField(required=False, max_length=COMMENT_MAX_LENGTH, strip=True)
