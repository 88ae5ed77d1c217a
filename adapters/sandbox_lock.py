"""What a tool's process may do, taken away for good before it runs: files (Landlock), system calls (seccomp), amounts (rlimits).

All of it holds for root, without root and within a container, and for all programs that the tool starts. Linux on x86-64 and
64-bit ARM; the numbers are those of the kernel's user interface (landlock(7), seccomp(2), capabilities(7)).
"""

import contextlib
import ctypes
import errno
import os
import platform
import resource
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

LANDLOCK_ABI_MIN = 3  # from this one on truncating and moving files are ruled, too
SCOPES_ABI_MIN = 6  # from this one on Landlock rules signals
FILES_OPEN_MAX = 512
FILE_BYTES_MAX = 1 << 30
NICENESS = 10

_LIBC = ctypes.CDLL(None, use_errno=True)
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_EXECUTE, _WRITE, _READ, _READ_DIR, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_FILE_RIGHTS = _EXECUTE | _WRITE | _READ | _TRUNCATE
_FS_RIGHTS = {3: (1 << 15) - 1, 4: (1 << 15) - 1}
_FS_RIGHTS_NEWEST = (1 << 16) - 1  # from ABI 5 on: ioctl on devices
_MAKE_DEVICE = 1 << 6 | 1 << 11

_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 24, 36, 38, 22
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITIES_V3 = 0x20080522

_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_OF, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
_NEW_NAMESPACES = 0x7E020000

# Per name its numbers on x86-64 and on 64-bit ARM; None: it has no such call.
_NETWORK = {
    "socket": (41, 198),
    "connect": (42, 203),
    "accept": (43, 202),
    "accept4": (288, 242),
    "bind": (49, 200),
    "listen": (50, 201),
}
_OTHER_PROCESSES = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "setpriority": (141, 140),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122),
    "ioprio_set": (251, 30),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
}
_WAYS_OUT = {  # of the process group, which is killed as a whole; of this filter; into a world with rights of its own
    "setpgid": (109, 154),
    "setsid": (112, 157),
    "unshare": (272, 97),
    "setns": (308, 268),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
}
_SIGNALS = {
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
}
_ATTRIBUTES = {  # of files, which Landlock does not rule: they do nothing and say that all is well, as unpackers want it
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
}
_CLONE, _CLONE3, _SOCKETPAIR, _PRLIMIT = (56, 220), (435, 435), (53, 199), (302, 261)
_STREAM = 1


class Protection(Struct, frozen=True):
    """One of the kernel's means against tools: whether it holds here, and what that rests on."""

    name: str
    holds: bool
    detail: str


class Bounds(Struct, frozen=True, kw_only=True):
    """What one process may read, write and take."""

    readable: tuple[Path, ...]
    writable: Path
    cpu_s_max: int
    memory_bytes_max: int


class UnprotectedError(Exception):
    """The kernel does not restrict this process as it should."""


def protections() -> tuple[Protection, ...]:
    """What this kernel offers, asked without taking anything away from this process."""
    abi = _landlock_abi()
    enough = abi >= LANDLOCK_ABI_MIN
    files = Protection(
        "files", enough, f"Landlock ABI {abi}" if enough else f"Landlock ABI {abi}, {LANDLOCK_ABI_MIN} is needed"
    )
    machine = platform.machine()
    filtered = machine in _ARCHITECTURE and Path("/proc/sys/kernel/seccomp/actions_avail").exists()
    calls = Protection(
        "network and other processes",
        filtered,
        f"seccomp filters on {machine}" if filtered else f"no seccomp filter for {machine} here",
    )
    return files, calls


def subreaper() -> None:
    """Be the parent of what descendants leave behind, so that it can be found and ended."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)


def restrict(bounds: Bounds, *, unprotected: bool) -> None:
    """Take everything away from this process that a tool does not need.

    Raises UnprotectedError where the kernel does not do so, unless it may run `unprotected`: then what can be taken is.
    """
    for missing in (one for one in protections() if not one.holds):
        if not unprotected:
            raise UnprotectedError(f"the kernel does not protect {missing.name} from tools ({missing.detail})")
    _limit(bounds)
    _drop_capabilities()
    if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) and not unprotected:
        raise UnprotectedError(f"no_new_privs was refused: {os.strerror(ctypes.get_errno())}")
    with contextlib.suppress(*([UnprotectedError] if unprotected else [])):
        _restrict_files(bounds)
    with contextlib.suppress(*([UnprotectedError] if unprotected else [])):
        _filter_calls()


def _limit(bounds: Bounds) -> None:
    pages, data = _mapped()
    soft = {
        resource.RLIMIT_CPU: bounds.cpu_s_max,
        resource.RLIMIT_DATA: data + bounds.memory_bytes_max,
        resource.RLIMIT_AS: pages + 4 * bounds.memory_bytes_max,  # what is only reserved counts, too
        resource.RLIMIT_FSIZE: FILE_BYTES_MAX,
        resource.RLIMIT_NOFILE: FILES_OPEN_MAX,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    for kind, wanted in soft.items():
        hard = resource.getrlimit(kind)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))
    os.nice(NICENESS)
    with contextlib.suppress(OSError):  # a kernel without /proc has no such order
        Path("/proc/self/oom_score_adj").write_text("1000")


def _mapped() -> tuple[int, int]:
    """Bytes of address space and of data that this process has now."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[0]) * resource.getpagesize(), int(fields[5]) * resource.getpagesize()


def _drop_capabilities() -> None:
    for capability in range(64):
        _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # Who is not root has none and may not: that is as good.
    number = _CAPSET.get(platform.machine())
    if number is not None:
        header = struct.pack("II", _CAPABILITIES_V3, 0)
        _LIBC.syscall(number, header, struct.pack("IIIIII", 0, 0, 0, 0, 0, 0))


def _landlock_abi() -> int:
    """0 where there is none."""
    return max(0, int(_LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)))


def _restrict_files(bounds: Bounds) -> None:
    abi = _landlock_abi()
    if abi < LANDLOCK_ABI_MIN:
        raise UnprotectedError(f"Landlock ABI {abi}")
    rights = _FS_RIGHTS.get(abi, _FS_RIGHTS_NEWEST)
    words = [rights, *([3] if abi >= 4 else []), *([3] if abi >= SCOPES_ABI_MIN else [])]
    ruled = struct.pack(f"{len(words)}Q", *words)
    ruleset = _LIBC.syscall(_CREATE_RULESET, ruled, ctypes.c_size_t(len(ruled)), 0)
    if ruleset < 0:
        raise UnprotectedError(f"Landlock refused its rules: {os.strerror(ctypes.get_errno())}")
    for path in bounds.readable:
        _allow(ruleset, path, _EXECUTE | _READ | _READ_DIR)
    for device, granted in (("/dev/null", _READ | _WRITE), ("/dev/zero", _READ), ("/dev/urandom", _READ)):
        _allow(ruleset, Path(device), granted)
    _allow(ruleset, bounds.writable, rights & ~_MAKE_DEVICE)
    if _LIBC.syscall(_RESTRICT_SELF, ruleset, 0):
        raise UnprotectedError(f"Landlock was refused: {os.strerror(ctypes.get_errno())}")
    os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    granted = rights if path.is_dir() else rights & _FILE_RIGHTS
    failed = _LIBC.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", granted, descriptor), 0)
    problem = ctypes.get_errno()
    os.close(descriptor)
    if failed:
        raise UnprotectedError(f"Landlock refused the rule for {path}: {os.strerror(problem)}")


def _filter_calls() -> None:
    machine = platform.machine()
    if machine not in _ARCHITECTURE:
        raise UnprotectedError(f"no seccomp filter for {machine}")
    program = b"".join(_program(machine, signals_ruled=_landlock_abi() >= SCOPES_ABI_MIN))
    code = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    if _LIBC.prctl(_PR_SET_SECCOMP, 2, filter_, 0, 0):
        raise UnprotectedError(f"seccomp was refused: {os.strerror(ctypes.get_errno())}")


def _program(machine: str, *, signals_ruled: bool) -> Iterator[bytes]:
    """The filter: system calls in question one after the other, each with its answer; all others are allowed."""
    column = list(_ARCHITECTURE).index(machine)
    number, architecture = _step(_LOAD, 0), _step(_LOAD, 4)
    denied = _step(_RETURN, _ERRNO | errno.EPERM)
    yield architecture
    yield _step(_EQUAL, _ARCHITECTURE[machine], 1, 0)
    yield _step(_RETURN, _KILL)
    yield number
    if machine == "x86_64":
        yield _step(_AT_LEAST, _X32, 0, 1)
        yield denied
    refused: Sequence[dict[str, tuple[int, int]]] = (
        _NETWORK,
        _OTHER_PROCESSES,
        _WAYS_OUT,
        {} if signals_ruled else _SIGNALS,
    )
    for call in (call for group in refused for call in group.values()):
        yield _step(_EQUAL, call[column], 0, 1) + denied
    for numbers in _ATTRIBUTES.values():
        if numbers[column] is not None:
            yield _step(_EQUAL, numbers[column] or 0, 0, 1) + _step(_RETURN, _ERRNO)
    yield _step(_EQUAL, _CLONE3[column], 0, 1) + _step(_RETURN, _ERRNO | errno.ENOSYS)  # Callers go on with clone.
    # By an argument: which bits of its lower half are looked at, and the value that alone is denied or allowed.
    yield _step(_EQUAL, _CLONE[column], 0, 4) + _argument(0) + _step(_ANY_OF, _NEW_NAMESPACES, 0, 1) + denied + number
    yield _step(_EQUAL, _SOCKETPAIR[column], 0, 5) + _argument(1) + _step(0x54, 0xF)
    yield _step(_EQUAL, _STREAM, 1, 0) + denied + number
    yield _step(_EQUAL, _PRLIMIT[column], 0, 4) + _argument(0) + _step(_EQUAL, 0, 1, 0) + denied + number
    yield _step(_RETURN, _ALLOW)


def _argument(index: int) -> bytes:
    return _step(_LOAD, 16 + 8 * index)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
