"""Which Gridscribe this is."""

from importlib import metadata

NOT_INSTALLED = "(not installed)"


def own_version() -> str:
    try:
        return metadata.version("gridscribe")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return NOT_INSTALLED
