"""The exception for requests that are not accepted."""


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
