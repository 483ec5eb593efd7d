"""The site as `manage.py up` has it served: it ends with the process that is supervised.

Granian serves from a child of that process. If the parent is killed, the child would go on answering beside its
successor, and after everything else was stopped. Not in `wsgi.py`: a server that somebody starts from a shell has to
outlive that shell.
"""

from mlsite.supervision import stop_when_parent_dies
from mlsite.wsgi import application

stop_when_parent_dies()

__all__ = ["application"]
