"""Errors of the model repository. Each message is one line and says what to do where that is known."""


class RepositoryError(Exception):
    """Base class of the model repository's errors."""


class UnknownModel(RepositoryError):
    """No model of this name can be installed."""


class NotInstalled(RepositoryError):
    """The model or the version asked for is not in the repository."""


class Damaged(RepositoryError):
    """A file of a version is missing, or has changed since the installation."""


class VersionInUse(RepositoryError):
    """The version cannot be removed while it is used."""


class OtherVersionActive(RepositoryError):
    """The active version is not the expected one: it has been changed meanwhile."""


class InvalidArchive(RepositoryError):
    """The file is not a version that `Repository.export` wrote, or it is damaged."""


class WeightsUnavailable(RepositoryError):
    """The weights of a model are not on this machine and cannot be downloaded."""


class WeightsMismatch(RepositoryError):
    """The weights cannot be read, or do not fit the network."""


def first_line(error: BaseException) -> str:
    """The first line of an error's text, which in some libraries is a page long."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
