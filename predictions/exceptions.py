"""The exception for requests that are not accepted."""

UNAVAILABLE_SECONDS = 5  # how soon to try again while a part of the site is unavailable


class RequestRejected(Exception):
    """A request, or a part of it, is not accepted.

    `code` is stable and meant for programs, `message` is meant for people, and `status` is the matching HTTP status.
    `retry_after`: seconds after which the client may try again, if that can help.
    """

    def __init__(self, code: str, message: str, *, status: int = 400, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def unavailable(part: str) -> RequestRejected:
    """Returns the rejection of a request that needs a part of the site that is unavailable.

    `part` is `database`, `queue` or `storage`, and becomes part of the code: `queue-unavailable`.
    """
    message = f"The {part} is unavailable. Please try again in a moment."
    return RequestRejected(f"{part}-unavailable", message, status=503, retry_after=UNAVAILABLE_SECONDS)
