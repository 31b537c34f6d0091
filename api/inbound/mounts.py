"""Pictures that farms name by path: read below folders that the operator opened, else never."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from api.rooted_folder import RootedFolder
from shared.errors import ErrorCode, GridscribeError
from shared.settings import Settings

_TENANT = "{tenant}"


def mapped(url: str, path_map: Mapping[str, str]) -> str:
    """`url` with the longest beginning that `path_map` knows replaced; both slashes are one."""
    spelled = _with_slashes(url)
    for prefix in sorted(path_map, key=len, reverse=True):
        beginning = _with_slashes(prefix)
        if spelled.startswith(beginning):
            return path_map[prefix] + spelled.removeprefix(beginning)
    return url


def is_path(url: str) -> bool:
    """A `file:` address, or no address at all. Letters of drives are no schemes."""
    scheme, colon, _ = url.partition(":")
    return not colon or len(scheme) < 2 or scheme.lower() == "file" or "/" in scheme


class Mounts:
    def __init__(self, settings: Settings) -> None:
        self._roots = settings.inbound_roots

    def open(self, tenant: str, url: str) -> BinaryIO:
        """The file that `url`, for which `is_path` holds, names to `tenant`.

        Raises `GridscribeError` URL_NOT_ALLOWED for what is not below one of the roots, wherever
        symbolic links lead, and FETCH_FAILED for what cannot be read there.
        """
        path = _path_of(url)
        for root in self._roots:
            own = Path(str(root).replace(_TENANT, tenant))
            with contextlib.suppress(OSError, ValueError):
                # Links are followed once, here; what is then opened leads through none.
                resolved, base = path.resolve(strict=True), own.resolve(strict=True)
                if resolved.is_relative_to(base):
                    return _opened(base, resolved)
        if not any(_may_hold(root, tenant, path) for root in self._roots):
            raise GridscribeError(
                ErrorCode.URL_NOT_ALLOWED,
                "not allowed: the path is not below a folder that the operator opened with"
                " GRIDSCRIBE_INBOUND_ROOTS",
            )
        raise _unreadable("it is not there, or leads out of the folder that is served")


def _opened(base: Path, path: Path) -> BinaryIO:
    folder = RootedFolder(base)
    try:
        return folder.open(str(path))
    except GridscribeError as error:
        raise _unreadable(error.errors[0].detail) from error
    finally:
        folder.close()


def _may_hold(root: Path, tenant: str, path: Path) -> bool:
    return path.is_relative_to(str(root).replace(_TENANT, tenant))


def _path_of(url: str) -> Path:
    if url.lower().startswith("file:"):
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost"):
            raise _unreadable("its file: address names a host; map it with the source's path_map")
        url = unquote(parts.path)
    path = Path(url)
    if not path.is_absolute() or "\0" in url:
        raise _unreadable("it is no absolute path here; map it with the source's path_map")
    return path


def _unreadable(why: str) -> GridscribeError:
    return GridscribeError(ErrorCode.FETCH_FAILED, f"cannot be read: {why}")


def _with_slashes(text: str) -> str:
    return text.replace("\\", "/")
