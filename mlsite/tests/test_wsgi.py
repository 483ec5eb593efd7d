"""The WSGI application."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _run(script: str, data_dir: Path) -> None:
    """Runs the script in a new process, which has imported nothing yet."""
    (data_dir / "static").mkdir(exist_ok=True)
    environment = {**os.environ, "DATA_DIR": str(data_dir)}
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr


def test_web_process_loads_no_engine(tmp_path: Path) -> None:
    """The web process stays small and starts fast."""
    script = (
        "import sys, mlsite.wsgi, mlsite.urls\n"
        "loaded = {'tensorflow', 'keras', 'openvino'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    _run(script, tmp_path)


def test_static_files_have_cache_headers(tmp_path: Path) -> None:
    script = (
        "import io, sys, mlsite.wsgi\n"
        "def get(path):\n"
        "    told = {}\n"
        "    environ = {'REQUEST_METHOD': 'GET', 'PATH_INFO': path, 'SERVER_NAME': 'localhost', 'SERVER_PORT': '80',\n"
        "        'wsgi.input': io.BytesIO(), 'wsgi.url_scheme': 'http', 'wsgi.errors': sys.stderr}\n"
        "    def tell(status, headers, *rest): told.update(headers, status=status)\n"
        "    body = mlsite.wsgi.application(environ, tell)\n"
        "    return told | {'body': b''.join(body)}\n"
        "named, hashed = get('/static/site.css'), get('/static/site.0123456789ab.css')\n"
        "assert named['status'] == hashed['status'] == '200 OK', (named, hashed)\n"
        "assert named['body'] == b'a {}' and named['Content-Type'].startswith('text/css'), named\n"
        "assert named['X-Content-Type-Options'] == 'nosniff', named\n"
        "assert named['Cache-Control'] == 'max-age=60, public', named\n"
        "assert hashed['Cache-Control'].endswith('immutable'), hashed\n"
    )
    (tmp_path / "static").mkdir()
    for name in ("site.css", "site.0123456789ab.css"):
        (tmp_path / "static" / name).write_text("a {}")
    _run(script, tmp_path)


@pytest.mark.parametrize("charset", ["unknown", "idna"])
def test_ignores_content_type_in_unusable_charset(charset: str, tmp_path: Path) -> None:
    script = (
        "import io, sys, mlsite.wsgi\n"
        "told = []\n"
        "environ = {'REQUEST_METHOD': 'POST', 'PATH_INFO': '/api/nothing', 'SERVER_NAME': 'localhost',\n"
        "    'SERVER_PORT': '80', 'wsgi.input': io.BytesIO(), 'wsgi.url_scheme': 'http', 'wsgi.errors': sys.stderr,\n"
        f"    'CONTENT_TYPE': \"text/plain; name*={charset}''%ff\"}}\n"
        "mlsite.wsgi.application(environ, lambda status, headers, *rest: told.append(status))\n"
        "assert told == ['404 Not Found'], told\n"
    )
    _run(script, tmp_path)
