"""Why a picture, or a request, is not accepted."""


class RequestRejected(Exception):
    """Something from outside that cannot be accepted.

    `code` is stable and meant for programs, `message` is meant for people, `status` is the HTTP status that
    says the same. `retry_after`: seconds after which it is worth trying again, where that may help.
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
