"""Signals for the packages above, which this package does not import."""

from django.dispatch import Signal

# The first two are sent in the transaction that stores a statement about an answer, with `feedback`, the `Feedback`
# row, and its `prediction`. The row of the image is locked, so that statements about one image are stored one after the
# other.

# Sent before the statement is stored, with `replaces`: whether it replaces an earlier one of the same author about the
# same prediction. A receiver prevents the statement from being stored by raising `RequestRejected`.
feedback_storing = Signal()

# Sent after the statement is stored.
feedback_stored = Signal()

# Sent with `image`, in the transaction that erases statements about an image that stays: they do not count any more.
feedback_withdrawn = Signal()

# Sent with `prediction`: receivers return whether a reviewer will look at what people say about it.
awaits_review = Signal()
