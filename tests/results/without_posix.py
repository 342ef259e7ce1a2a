"""What Windows has not, taken away from a Python on Linux or macOS."""

import os
from collections.abc import Callable
from typing import Any

import filelock  # noqa: F401 - it has a way of its own to lock on each system, and keeps it

_MISSING = ("O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "fchmod")
_BY_PATH_ONLY = ("open", "unlink", "replace", "stat", "chmod", "listdir", "mkdir")
CHANGED = (*_MISSING, *_BY_PATH_ONLY, "supports_dir_fd", "supports_fd", "rename")


def take_posix_away() -> None:
    """Leave ``os`` without descriptors of directories, without flags for links, and with a rename that refuses."""
    for name in _MISSING:
        delattr(os, name)
    for name in _BY_PATH_ONLY:
        setattr(os, name, _by_path_only(getattr(os, name)))
    os.supports_dir_fd = set()
    os.supports_fd = set()
    rename = os.rename

    def rename_unless_there(old: Any, new: Any) -> None:
        if os.path.lexists(new):
            raise FileExistsError(17, "File exists", new)
        rename(old, new)

    os.rename = rename_unless_there  # type: ignore[assignment]


def _by_path_only(function: Callable[..., Any]) -> Callable[..., Any]:
    def by_path(path: Any, *arguments: Any, **options: Any) -> Any:
        descriptors = [options.get(name) for name in ("dir_fd", "src_dir_fd", "dst_dir_fd")]
        if isinstance(path, int) or descriptors != [None] * 3:
            raise NotImplementedError("directories have no descriptors here")
        if function.__name__ == "open" and os.path.isdir(path):
            raise PermissionError(13, "Permission denied", path)
        return function(path, *arguments, **options)

    return by_path
