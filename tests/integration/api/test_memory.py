"""Files pass through the API; they never pile up in it."""

import io
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx

from shared.settings import MEBIBYTE, Settings
from tests.fixtures.waiting import PATIENCE
from tests.integration.api.served import png

ROOT = Path(__file__).parents[3]

SERVER = """
import resource, socket, sys
import uvicorn
from api.app import create_app

config = uvicorn.Config(create_app(), log_config=None)
server = uvicorn.Server(config)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    server.run([socket.socket(fileno=int(sys.argv[1]))])
except KeyboardInterrupt:
    pass
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * (1 if sys.platform == "darwin" else 1024))
"""


def test_an_upload_of_300_megabytes_takes_hardly_any_memory(
    api_settings: Settings, tmp_path: Path
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    environment = {
        "GRIDSCRIBE_REDIS_URL": api_settings.redis_url,
        "GRIDSCRIBE_AUTH": "open",
        "GRIDSCRIBE_DATA_DIR": str(tmp_path),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(listener.fileno())],
        cwd=ROOT,
        env=environment,
        pass_fds=[listener.fileno()],
        stdout=subprocess.PIPE,
    )
    listener.close()
    try:
        large = png() + bytes(50 * MEBIBYTE)  # what follows a picture's end is no part of it
        parts = [("images", (f"{n}.png", io.BytesIO(large))) for n in range(6)]
        answer = httpx.post(f"{address}/v1/jobs", files=parts, timeout=2 * PATIENCE)
        assert answer.status_code == 202, answer.text
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE)
    assert int(output) < 60 * MEBIBYTE
