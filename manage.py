#!/usr/bin/env python
"""Django's command line: `manage.py up` runs everything, `manage.py help` lists the rest."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlsite.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, ProgrammingError

    if sys.argv[1:2] != ["model"]:  # models are no secret, and one user may install them for another
        os.umask(0o077)  # rows, pictures and exports are: only the owner of this process may read what it writes
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # A wrong setting is the operator's to mend: one line says which, a traceback would bury it.
        sys.exit(f"manage.py: {error}")
    except (OperationalError, ProgrammingError) as error:  # ProgrammingError: PostgreSQL has no such table
        if "--traceback" in sys.argv:
            raise
        reason = " ".join(str(error).split())
        sys.exit(
            f"manage.py: the database cannot be used: {reason}. `manage.py prepare` creates or updates its tables."
        )
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell says it: ended by SIGINT


if __name__ == "__main__":
    main()
