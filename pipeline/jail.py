"""A process that caps itself: limits first, then a seccomp filter that leaves it reading, writing and memory.

Knows nothing of media. What the kernel refuses is named, not fatal: the limits hold everywhere, the filter on
x86-64 and ARM64 Linux. Source: prctl(2), seccomp(2), linux/filter.h, linux/audit.h.
"""

import contextlib
import ctypes
import os
import platform
import resource
import signal
import struct

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_RET_KILL, _RET_EPERM, _RET_ALLOW = 0x8000_0000, 0x0005_0001, 0x7FFF_0000
_LOAD_WORD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_AT_NUMBER, _AT_MACHINE = 0, 4  # in struct seccomp_data
_MACHINES = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
_NICE = 5
_OPEN_FILES = 32

# what a reader that holds only its two pipes needs; everything else is refused: no file, socket, process or signal
_CALLS = {
    "x86_64": {
        "read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12,
        "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25, "madvise": 28,
        "getpid": 39, "exit": 60, "futex": 202, "restart_syscall": 219, "clock_gettime": 228, "exit_group": 231,
        "getrandom": 318,
    },
    "aarch64": {
        "read": 63, "write": 64, "close": 57, "fstat": 80, "lseek": 62, "mmap": 222, "mprotect": 226, "munmap": 215,
        "brk": 214, "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "sched_yield": 124, "mremap": 216,
        "madvise": 233, "getpid": 172, "exit": 93, "futex": 98, "restart_syscall": 128, "clock_gettime": 113,
        "exit_group": 94, "getrandom": 278,
    },
}  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = [("size", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def limit(memory_bytes: int) -> None:
    """Before anything else: little memory, no file written, no core dump, low priority, dies with its parent."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    with contextlib.suppress(OSError):
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    stay_private()


def stay_private() -> None:
    """No core dump, also where those go to a program, which no limit stops; no look from another process of this user.

    Source: core(5), PR_SET_DUMPABLE in prctl(2).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        _prctl(_PR_SET_DUMPABLE, 0)


def confine() -> str:
    """After everything is imported: no call but those above. What could not be had, in words; empty where all was."""
    machine = platform.machine()
    if machine not in _MACHINES:
        return f"seccomp: no list of system calls for {machine}"
    try:
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        instructions = _filter(machine)
        program = _Program(len(instructions) // 8, instructions)
        _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(program))
    except OSError as error:
        return f"seccomp: the kernel refused ({os.strerror(error.errno or 0)})"
    return ""


def _filter(machine: str) -> bytes:
    """A BPF program: another machine's calls kill, those in the list pass, the rest fail with EPERM."""
    numbers = sorted(_CALLS[machine].values())
    steps = [
        (_LOAD_WORD, 0, 0, _AT_MACHINE),
        (_JUMP_EQUAL, 1, 0, _MACHINES[machine]),
        (_RETURN, 0, 0, _RET_KILL),
        (_LOAD_WORD, 0, 0, _AT_NUMBER),
    ]
    steps += [(_JUMP_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    steps += [(_RETURN, 0, 0, _RET_EPERM), (_RETURN, 0, 0, _RET_ALLOW)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _prctl(option: int, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_ulong(each) for each in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(option, *words) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
