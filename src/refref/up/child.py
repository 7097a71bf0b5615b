"""The first code of every process that `up` starts: imports the real module early, then waits for the word to begin.

So the slow imports run while PostgreSQL starts. Owns nothing of the business: it becomes the module it was asked for.
Usage (by the supervisor only): python -m refref.up.child DESCRIPTOR MODULE PARENT_PID
"""

import ctypes
import gc
import importlib
import importlib.util
import json
import os
import runpy
import signal
import sys


def die_with_parent(parent: int) -> None:
    """Ask the kernel to end this process when its parent dies in any way (Linux only)."""
    if sys.platform.startswith("linux"):
        set_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died in between
        os._exit(1)


def preload(module: str) -> None:
    """Import what `python -m MODULE` would import, without running it; the module itself is forgotten again."""
    spec = importlib.util.find_spec(module)
    is_package = spec is not None and spec.submodule_search_locations is not None
    name = f"{module}.__main__" if is_package else module
    importlib.import_module(name)
    del sys.modules[name]  # run_module makes it anew, under the name __main__


def main() -> None:
    """Preload the module, read arguments and environment from the descriptor, and become the module."""
    descriptor, module, parent = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    die_with_parent(parent)
    gc.disable()  # nothing that is imported becomes garbage: looking for it costs a third of the time
    preload(module)
    gc.freeze()
    gc.enable()
    with os.fdopen(descriptor) as orders:
        text = orders.read()
    if not text:
        return  # the supervisor changed its mind
    order = json.loads(text)
    os.environ.update(order["environment"])
    sys.argv = [module, *order["arguments"]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
