"""Start a program that ends with its parent, as an unprivileged account where the program refuses root.

Run as a file, so that it starts in milliseconds: ``python cdp/child.py [--parent PID] [--signal N] [--account NAME]
[--pass-through] -- PROGRAM ARGUMENTS``. It replaces itself with the program.

Linux only in parts: elsewhere a program that outlives a killed parent is found again by its pid file (``cdp.local_postgres``).
Capabilities are described in capabilities(7); the numbers below are from linux/prctl.h and linux/capability.h.
"""

import argparse
import ctypes
import os
import pwd
import signal
import struct
import sys

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS, NO_SETUID_FIXUP = 28, 1 << 2
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


def prctl(option: int, *values: int) -> bool:
    """True when the kernel knows ``option`` and did it; False elsewhere than Linux."""
    if not sys.platform.startswith("linux"):
        return False
    padded = [ctypes.c_ulong(v) for v in (*values, 0, 0, 0, 0)[:4]]
    return bool(ctypes.CDLL(None, use_errno=True).prctl(option, *padded) == 0)


def keep_capability(capability: int) -> bool:
    """Keep one capability across the change of account and the exec; False when this process never had it."""
    mask = 1 << capability
    header = ctypes.create_string_buffer(struct.pack("=Ii", CAPABILITY_VERSION_3, 0))
    data = ctypes.create_string_buffer(struct.pack("=6I", mask, mask, mask, 0, 0, 0))
    if ctypes.CDLL(None, use_errno=True).capset(header, data) != 0:
        return False
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def become(account: str, *, pass_through: bool) -> None:
    """Drop root for ``account``. ``pass_through`` keeps the right to walk through folders closed to that account.

    The right is needed when root's checkout lies in a folder of mode 700: PostgreSQL refuses root, and the account could not
    reach its own data. Raises PermissionError when the container took that right away from root as well.
    """
    entry = pwd.getpwnam(account)
    if pass_through:
        prctl(PR_SET_SECUREBITS, NO_SETUID_FIXUP)  # else access(2), which PostgreSQL asks, ignores capabilities
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    if pass_through and not (keep_capability(CAP_DAC_READ_SEARCH) or keep_capability(CAP_DAC_OVERRIDE)):
        raise PermissionError(f"the account {account} cannot reach the checkout, and root may not lend it the way")
    os.environ.update(HOME="/", USER=account, LOGNAME=account)


def die_with(parent: int, number: int) -> None:
    """Ask the kernel for signal ``number`` when the parent ends, and end now if it already has."""
    prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        sys.exit("the parent ended before its child began")


def main(arguments: list[str]) -> None:
    """Parse, prepare, exec."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", type=int, default=0)
    parser.add_argument("--signal", type=int, default=int(signal.SIGTERM))
    parser.add_argument("--account", default="")
    parser.add_argument("--pass-through", action="store_true")
    parser.add_argument("program", nargs="+")
    options = parser.parse_args(arguments)
    if options.account:
        try:
            become(options.account, pass_through=options.pass_through)
        except (OSError, KeyError) as error:
            sys.exit(f"cannot run as {options.account}: {error}")
    if options.parent:
        die_with(options.parent, options.signal)  # after the change of account, which clears it
    os.execv(options.program[0], options.program)  # noqa: S606 - the caller names the program


if __name__ == "__main__":
    main(sys.argv[1:])
