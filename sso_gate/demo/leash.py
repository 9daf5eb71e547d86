"""Runs a Python program that ends when its parent ends, however that happens: `python -m sso_gate.demo.leash -m …`.

Linux only; elsewhere the program just runs, and survives a parent that was killed with SIGKILL.
"""

import ctypes
import os
import signal
import sys

PARENT = "SSO_GATE_DEMO_PROCESS"
"""The environment variable that names the parent."""
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become `python ARGUMENTS…`, on a leash. Source: prctl(2), PR_SET_PDEATHSIG; it survives execve(2)."""
    parent = int(os.environ.pop(PARENT))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:  # it ended before the leash was on
        sys.exit(1)
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])  # noqa: S606 - our own program with our own words


if __name__ == "__main__":
    main()
