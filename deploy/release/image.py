"""From a commit to an image that is checked, scanned, described and signed."""

from dataclasses import dataclass

from commands import ReleaseFailed, Shell

BUILDERS = ("docker", "podman", "buildah")
SBOM = "sbom.spdx.json"


@dataclass(frozen=True, slots=True)
class Build:
    """`name`: of the image, with its registry and without a tag. `push`: to this registry."""

    name: str
    push: bool
    checks: bool = True


def build(shell: Shell, order: Build) -> str:
    """Make the image of the commit and return its tag or, if it was pushed, its digest.

    Raises ReleaseFailed.
    """
    commit = shell.read(["git", "rev-parse", "HEAD"], "COMMIT")
    if shell.read(["git", "status", "--porcelain", "--untracked-files=no"]):
        raise ReleaseFailed("The checkout has changes that are not committed.")
    if order.checks:
        for target in ("check", "test"):
            shell.run(["make", target])
    tag = f"{order.name}:{commit}"
    builder = next((each for each in BUILDERS if shell.has(each, f"build with {each}")), None)
    if builder is None:
        if not shell.dry_run:
            raise ReleaseFailed(f"One of {', '.join(BUILDERS)} is needed to build the image.")
        builder = BUILDERS[0]
    shell.run([builder, "build", "--tag", tag, "."])
    scan(shell, tag)
    if not order.push:
        shell.say("skipped: push and signature: --push is not given")
        return tag
    digest = push(shell, builder, order.name, tag)
    sign(shell, digest)
    return digest


def scan(shell: Shell, tag: str) -> None:
    """Refuse an image with a serious vulnerability that has a remedy, and list its packages."""
    if shell.has("trivy", "scan for vulnerabilities"):
        levels = ["--severity", "HIGH,CRITICAL", "--ignore-unfixed", "--exit-code", "1"]
        shell.run(["trivy", "image", *levels, tag])
    if shell.has("syft", "list of packages (SBOM)"):
        shell.run(["syft", tag, "--output", f"spdx-json={SBOM}"])


def push(shell: Shell, builder: str, name: str, tag: str) -> str:
    """Push the image and return its digest, which no later push changes."""
    if builder == "docker":
        shell.run([builder, "push", tag])
        described = ["image", "inspect", "--format", "{{index .RepoDigests 0}}", tag]
        return shell.read([builder, *described], f"{name}@DIGEST")
    shell.run([builder, "push", "--digestfile", "image.digest", tag])
    return f"{name}@{shell.read(['cat', 'image.digest'], 'DIGEST')}"


def sign(shell: Shell, digest: str) -> None:
    if not shell.has("cosign", "signature"):
        return
    shell.run(["cosign", "sign", "--yes", digest])
    if shell.has("syft", "signed list of packages"):
        shell.run(["cosign", "attest", "--yes", "--type", "spdxjson", "--predicate", SBOM, digest])
