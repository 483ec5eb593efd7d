"""The command line of the web server: Granian, one process. It runs the application in `mlsite/web/`."""

import sys


def command(host: str, port: int, *, application: str = "mlsite.web.application:application") -> list[str]:
    options = {
        "interface": "rsgi",
        "host": host,
        "port": port,
        "http": "1",
        "workers": 1,
        "workers-kill-timeout": 8,  # seconds for current requests when the server stops
        "runtime-mode": "st",  # one network thread handles 5,000 requests a second
        # Connections beyond the threads queue here until they are served or rejected (predictions/admission/).
        "backlog": 4096,
        "backpressure": 8192,
        "log-level": "warning",
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    flags = ["--no-ws", "--respawn-failed-workers"]
    return [sys.executable, "-m", "granian", application, *arguments, *flags]
