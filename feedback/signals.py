"""What happens to feedback, for the packages above, which this one does not know."""

from django.dispatch import Signal

# Both are sent in the transaction that stores a statement about an answer, with `feedback`, the `Feedback` row, and its
# `prediction`. The row of the image is locked, so that statements about one image are stored one after the other.

# Before the statement is stored, with `replaces`: whether its author has said something of the same prediction before.
# A receiver that raises `RequestRejected` keeps it from being stored.
feedback_storing = Signal()

# After it was stored.
feedback_stored = Signal()
