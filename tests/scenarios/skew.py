"""A clock that is wrong, as the kernel of a machine with a wrong clock tells it: for one process and what it starts.

A small library in front of the C library's `clock_gettime` adds to the time of day what stands in a file, at each
call. Clocks that no one sets, by which durations are measured, are left alone.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile double *off;

__attribute__((constructor)) static void look(void) {
    int file = open(getenv("SKEW_FILE"), O_RDONLY);
    if (file >= 0) off = mmap(0, sizeof *off, PROT_READ, MAP_SHARED, file, 0);
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int failed = syscall(SYS_clock_gettime, clock, at);
    if (!failed && off && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += (time_t)*off;
    return failed;
}
"""


class Skew:
    """`env` is for whoever is to have the wrong clock."""

    def __init__(self, folder: Path) -> None:
        """Raises RuntimeError where there is no C compiler."""
        if shutil.which("cc") is None:
            raise RuntimeError(
                "a clock is set wrong by a library that a C compiler makes: apt-get install gcc libc6-dev"
            )
        source, library = folder / "skew.c", folder / "skew.so"
        source.write_text(SOURCE, encoding="utf-8")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True, capture_output=True)
        self._file = folder / "skew"
        self.set(0.0)
        self.env: Mapping[str, str] = {"LD_PRELOAD": str(library), "SKEW_FILE": str(self._file)}

    def set(self, seconds: float) -> None:
        """So many whole seconds is the clock ahead from now on."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("d", seconds))
            os.fsync(file.fileno())
