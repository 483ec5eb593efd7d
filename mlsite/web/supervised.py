"""The application for `manage.py up`: it ends when its parent process ends.

Granian serves from a child of the supervised process. If the parent were killed, the child would go on serving beside
its successor, and after all other processes have stopped. This is not in `application.py`, because a server that is
started from a shell must outlive that shell.
"""

from mlsite.child_process import stop_when_parent_ends
from mlsite.web.application import application

stop_when_parent_ends()

__all__ = ["application"]
