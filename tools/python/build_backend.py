# SPDX-License-Identifier: Apache-2.0
"""Builds the wheel (PEP 517) by the project's Makefile, without setuptools.

A wheel is a zip file of the package and three text files about it; a package
that is built elsewhere and depends on nothing needs no more.
"""

import base64
import hashlib
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def _version():
    with open(os.path.join(HERE, "pyproject.toml")) as project:
        return re.search(r'^version = "(.*)"', project.read(), re.M)[1]


def _tag():
    """One file serves this Python and later ones."""
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return f"cp311-abi3-{platform}"


def _metadata():
    return ("Metadata-Version: 2.1\nName: coppice\n"
            f"Version: {_version()}\n"
            "Summary: One knowledge graph with vectors, shared by all "
            "processes of a machine\n"
            "License: Apache-2.0\nRequires-Python: >=3.11\n")


def _module():
    """Has make build the extension module; returns its path."""
    include = sysconfig.get_path("include")
    if not os.path.exists(os.path.join(include, "Python.h")):
        raise SystemExit(f"{include} has no Python.h: install python3-dev")
    if not os.path.exists(os.path.join(ROOT, "core", "coppice.h")):
        raise SystemExit("the sources of coppice are not around "
                         f"{HERE}: install from a whole checkout")
    build = os.environ.get("COPPICE_BUILD", "build/release")
    target = f"{build}/python/_coppice.abi3.so"
    subprocess.run(["make", "--no-print-directory", "-s", "-C", ROOT, target,
                    f"PYTHON_INCLUDE={include}"], check=True,
                   stdout=sys.stderr)
    return os.path.join(ROOT, target)


class _Wheel:
    def __init__(self, folder):
        self.name = f"coppice-{_version()}-{_tag()}.whl"
        self.info = f"coppice-{_version()}.dist-info"
        self._zip = zipfile.ZipFile(os.path.join(folder, self.name), "w",
                                    zipfile.ZIP_DEFLATED)
        self._record = []

    def add(self, name, data):
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
        self._record.append(
            f"{name},sha256={digest.rstrip(b'=').decode()},{len(data)}")
        entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        entry.external_attr = 0o644 << 16
        self._zip.writestr(entry, data, zipfile.ZIP_DEFLATED)

    def finish(self):
        self.add(f"{self.info}/METADATA", _metadata().encode())
        self.add(f"{self.info}/WHEEL",
                 ("Wheel-Version: 1.0\nGenerator: coppice\n"
                  f"Root-Is-Purelib: false\nTag: {_tag()}\n").encode())
        self._record.append(f"{self.info}/RECORD,,")
        self._zip.writestr(f"{self.info}/RECORD",
                           "\n".join(self._record) + "\n")
        self._zip.close()
        return self.name


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def build_wheel(wheel_directory, config_settings=None,
                metadata_directory=None):
    module = _module()
    wheel = _Wheel(wheel_directory)
    package = os.path.join(HERE, "coppice")
    for name in sorted(os.listdir(package)):
        if name.endswith((".py", ".pyi", ".typed")):
            wheel.add(f"coppice/{name}", _read(os.path.join(package, name)))
    wheel.add("coppice/_coppice.abi3.so", _read(module))
    return wheel.finish()


def build_sdist(sdist_directory, config_settings=None):
    """What git has, as pip and tools expect it to be named."""
    base = f"coppice-{_version()}"
    name = f"{base}.tar.gz"
    files = subprocess.run(["git", "-C", ROOT, "ls-files"], check=True,
                           capture_output=True, text=True).stdout.split("\n")
    with tarfile.open(os.path.join(sdist_directory, name), "w:gz") as archive:
        for path in filter(None, files):
            archive.add(os.path.join(ROOT, path), f"{base}/{path}")
    return name
