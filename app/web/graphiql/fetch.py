"""Copy GraphiQL's files out of npm packages, so that the page needs no other host. Standard library only.

npm checks each package against the hash in package-lock.json. Then each file is checked against the hash in
assets.json, against which browsers also check a file of the CDN.
"""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> None:
    try:
        if not (FOLDER / "node_modules").is_dir():
            install()
        vendor()
    finally:
        shutil.rmtree(FOLDER / "node_modules", ignore_errors=True)


def install() -> None:
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm is not installed")
    if subprocess.run([npm, "ci", "--silent"], cwd=FOLDER, check=False).returncode != 0:  # noqa: S603 - found above
        sys.exit("npm ci failed")


def vendor() -> None:
    fresh = FOLDER / "vendor.new"
    shutil.rmtree(fresh, ignore_errors=True)
    for name, integrity in json.loads((FOLDER / "assets.json").read_text()).items():
        content = (FOLDER / "node_modules" / re.sub(r"(.)@[^/]+", r"\1", name, count=1)).read_bytes()
        if sri(content) != integrity:
            sys.exit(f"{name} does not match its hash in assets.json")
        (fresh / name).parent.mkdir(parents=True, exist_ok=True)
        (fresh / name).write_bytes(content)
    shutil.rmtree(FOLDER / "vendor", ignore_errors=True)
    fresh.rename(FOLDER / "vendor")


def sri(content: bytes) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()


if __name__ == "__main__":
    main()
