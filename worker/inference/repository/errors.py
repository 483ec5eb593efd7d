"""What can go wrong with models on disk. Every message is one line that a person can act on."""


class RepositoryError(Exception):
    """Base of everything the model repository raises on purpose."""


class UnknownModel(RepositoryError):
    """No model of this name can be installed."""


class NotInstalled(RepositoryError):
    """The model or the version asked for is not in the repository."""


class Damaged(RepositoryError):
    """A file of a version is missing, or is not what it was when the version was installed."""


class WeightsUnavailable(RepositoryError):
    """The weights to build a model from cannot be had."""


class WeightsMismatch(RepositoryError):
    """The weights cannot be read, or do not fit the network."""


def first_line(error: BaseException) -> str:
    """The first line of an error's text: libraries write whole pages, a message of ours is one line."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
