"""Why a picture, or a request, is not accepted."""


class Refusal(Exception):
    """Something from outside that cannot be accepted.

    `code` is stable and meant for programs, `message` is meant for people, `status` is the HTTP status that
    says the same.
    """

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
