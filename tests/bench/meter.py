"""CPU seconds and peak memory of processes, read from the kernel."""

from contextlib import suppress
from pathlib import Path

import psutil


class Meter:
    """One process and what it has started, ended children included."""

    def __init__(self, pid: int) -> None:
        """`pid`: the root of the tree."""
        self.process = psutil.Process(pid)

    def cpu(self) -> float:
        """CPU seconds so far, user and system."""
        own = self.process.cpu_times()
        total = own.user + own.system + own.children_user + own.children_system
        for child in self.process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                times = child.cpu_times()
                total += times.user + times.system
        return total

    def peak_mb(self) -> float:
        """The most memory the process held at once, in MB (VmHWM)."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text("ascii").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
        return 0.0
