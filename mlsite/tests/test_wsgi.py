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
