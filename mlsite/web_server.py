"""The command line of the web server: Granian, one process, each request at hand or waiting in a thread of its own."""

import sys

from django.conf import settings


def command(host: str, port: int, *, application: str = "mlsite.wsgi:application") -> list[str]:
    options = {
        "interface": "wsgi",
        "host": host,
        "port": port,
        "http": "1",
        "workers": 1,
        "workers-kill-timeout": 8,  # seconds for the requests at hand when it is stopped
        "runtime-mode": "st",  # the network part is light: one thread of it for 5,000 requests a second
        "blocking-threads": settings.WEB_THREADS,
        # Connections beyond the threads queue here until they are served or rejected (predictions/admission/).
        "backlog": 4096,
        "backpressure": 8192,
        "log-level": "warning",
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    flags = ["--no-ws", "--respawn-failed-workers"]
    return [sys.executable, "-m", "granian", application, *arguments, *flags]
