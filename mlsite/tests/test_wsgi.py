import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_site_loads_no_engine(tmp_path: Path) -> None:
    """Nor the network behind one: a web process stays small, and starts fast."""
    script = (
        "import sys, mlsite.wsgi, mlsite.urls\n"
        "loaded = {'tensorflow', 'keras', 'openvino'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    (tmp_path / "static").mkdir()
    environment = {**os.environ, "DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr


def test_what_nobody_has_read_is_read_before_the_answer(tmp_path: Path) -> None:
    """Or the server closes the connection under a sender who has not finished, who then never sees the answer."""
    script = (
        "import io, sys, mlsite.wsgi\n"
        "from predictions import uploads\n"
        "def ask(size):\n"
        "    body, told = io.BytesIO(bytes(size)), []\n"
        "    environ = {'REQUEST_METHOD': 'POST', 'PATH_INFO': '/api/nothing', 'SERVER_NAME': 'localhost',\n"
        "        'SERVER_PORT': '80', 'wsgi.input': body, 'wsgi.url_scheme': 'http', 'wsgi.errors': sys.stderr,\n"
        "        'CONTENT_LENGTH': str(size), 'CONTENT_TYPE': 'multipart/form-data; boundary=x'}\n"
        "    mlsite.wsgi.application(environ, lambda status, headers, *rest: told.append(status))\n"
        "    return told, body.tell()\n"
        "assert ask(10**6) == (['404 Not Found'], 10**6), ask(10**6)\n"
        "uploads.DISCARD_AT_MOST = 10**6\n"
        "assert 10**6 <= ask(10**7)[1] < 2 * 10**6\n"
    )
    (tmp_path / "static").mkdir()
    environment = {**os.environ, "DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
