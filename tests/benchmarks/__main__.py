"""``python -m tests.benchmarks [--small] [name …]``: measure on a database of its own and write docs/benchmarks.md.

The made-up company (1 M people, 20 M events) is kept under ``.data/bench`` and built only once. ``--small`` is a rehearsal
with a hundredth of it, which prints and writes nothing.
"""

import argparse
import os
import sys
from pathlib import Path

from tests.benchmarks.addresses import database_ensure


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args(arguments)
    name = "cdp_bench_small" if options.small else "cdp_bench"
    folder = Path(__file__).resolve().parents[2] / ".data" / ("bench-small" if options.small else "bench")
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["DATABASE_URL"] = database_ensure(os.environ["DATABASE_URL"], name)
    os.environ |= {"CDP_DATA_DIR": str(folder), "CDP_LOG_LEVEL": "WARNING", "DJANGO_SETTINGS_MODULE": "cdp.settings"}

    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from tests.benchmarks import measures

    return measures.run(small=options.small, names=options.names)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
