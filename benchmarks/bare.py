"""The bounds: what the same server does when nothing is done with what it takes or gives."""

import os
import uuid
from pathlib import Path

import anyio
from fastapi import FastAPI, Request

FOLDER = Path(os.environ.get("BENCHMARK_FOLDER", "."))

app = FastAPI()


@app.post("/raw")
async def save_raw(request: Request) -> dict[str, int]:
    """The body to disk as it comes: no parts, no digest, no look at what it is."""
    path, count = FOLDER / uuid.uuid4().hex, 0
    async with await anyio.open_file(path, "wb") as file:
        async for chunk in request.stream():
            count += len(chunk)
            await file.write(chunk)
    path.unlink()
    return {"bytes": count}


@app.get("/empty")
async def get_empty() -> dict[str, int]:
    return {}
