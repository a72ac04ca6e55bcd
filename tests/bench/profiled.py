"""Runs a module under cProfile by CPU time: `python -m tests.bench.profiled FILE MODULE [arguments…]`."""

import cProfile
import runpy
import sys
import time


def main() -> None:
    """The module as `__main__`; its figures are in FILE when it ends, also by SystemExit."""
    file, module = sys.argv[1:3]
    sys.argv = [module, *sys.argv[3:]]
    profile = cProfile.Profile(time.process_time)
    try:
        profile.runcall(runpy.run_module, module, run_name="__main__", alter_sys=True)
    finally:
        profile.dump_stats(file)


if __name__ == "__main__":
    main()
