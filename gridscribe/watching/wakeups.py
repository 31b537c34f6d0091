"""When to look at a folder: as soon as something changes, or every so often."""

import contextlib
import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path

NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "drvfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"}
    | {"glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs", "vboxsf", "virtiofs"}
)
"""Kernels tell nothing of what other machines change there."""

_RESCAN_SECONDS = 30.0


def looks(folder: Path, seconds: float, *, polling: bool, recursive: bool) -> Iterator[bool]:
    """Yields at each change and every `seconds`; True where it is worth to look at all files.

    Without `polling` the kernel tells of changes; now and then all is looked at regardless. It
    cannot tell of a folder that is away, closed to us, or one of more than it watches: then all is
    looked at every `seconds`.
    """
    yield True
    if not polling:
        with contextlib.suppress(OSError):
            yield from _told(folder, seconds, recursive=recursive)
    while True:
        time.sleep(seconds)
        yield True


def _told(folder: Path, seconds: float, *, recursive: bool) -> Iterator[bool]:
    from watchfiles import watch

    looked_at = time.monotonic()
    for changes in watch(
        folder,
        recursive=recursive,
        yield_on_timeout=True,
        rust_timeout=int(seconds * 1000),
        debounce=200,
    ):
        is_time = time.monotonic() - looked_at > _RESCAN_SECONDS
        if changes or is_time:
            looked_at = time.monotonic()
        yield bool(changes) or is_time


def can_be_told() -> bool:
    """Whether the package is there that listens to the kernel: the extra `watch`."""
    return importlib.util.find_spec("watchfiles") is not None


def is_on_network(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether `folder` lies on another machine's disk (Linux's proc(5); False elsewhere)."""
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return False
    folder = folder.resolve()
    kinds = {}
    for line in lines:
        before, _, after = line.partition(" - ")
        if after:
            point = before.split()[4].replace("\\040", " ")
            kinds[point] = after.split()[0]
    deepest = next((str(path) for path in (folder, *folder.parents) if str(path) in kinds), None)
    return deepest is not None and kinds[deepest] in NETWORK_FILE_SYSTEMS
