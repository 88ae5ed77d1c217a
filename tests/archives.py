"""Archives of source code for tests: honest ones, and those that somebody made to do harm."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from actors.artemis.tools.source_tree import UNPACKED_BYTES_MAX, SourceTree, read_archive


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return packed.getvalue()


def tarred(files: Mapping[str, str], mode: str = "w:gz") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]  # the mode is a text here
        for path, text in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()


def special(kind: bytes, name: str = "odd.py", target: str = "/etc/passwd") -> bytes:
    """A tar with one entry of a kind that is no file, and an honest file after it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        odd = tarfile.TarInfo(name)
        odd.type, odd.linkname = kind, target
        archive.addfile(odd)
        info = tarfile.TarInfo("a.py")
        info.size = 5
        archive.addfile(info, io.BytesIO(b"x = 1"))
    return packed.getvalue()


def hostile() -> bytes:
    """A tar with every kind of harm at once, several of each, an honest file, and much that is wrong in it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
        for number in range(60):
            link = tarfile.TarInfo(f"link{number}.py")
            link.type, link.linkname = (tarfile.SYMTYPE, "/etc/passwd") if number % 2 else (tarfile.LNKTYPE, "a.py")
            archive.addfile(link)
        device = tarfile.TarInfo("device.py")
        device.type = tarfile.CHRTYPE
        archive.addfile(device)
        names = ["a.py", "a.py", 'quo"te.py', "../../../../tmp/pwned.py", "/etc/absolute.py", "C:\\windows\\x.py"]
        for name in [*names, *(f"broken{number}.py" for number in range(9)), "inner.zip"]:
            info = tarfile.TarInfo(name)
            info.size = 10
            archive.addfile(info, io.BytesIO(b"def f(: +\n"))
        bomb = tarfile.TarInfo("zero.bin")
        bomb.size = UNPACKED_BYTES_MAX
        archive.addfile(bomb, _Zeros())
    return packed.getvalue()


class _Zeros(io.RawIOBase):
    def read(self, size: int = -1, /) -> bytes:
        return bytes(size)


def packed_folder(folder: Path) -> bytes:
    """All files of a folder as a zip, under the folder's name, as they are; byte code left out."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    return zipped({path.relative_to(folder.parent).as_posix(): path.read_bytes() for path in files})


def tree(**files: str) -> SourceTree:
    """`a__b` is the file a/b.py."""
    return read_archive(zipped({name.replace("__", "/") + ".py": text for name, text in files.items()}))
