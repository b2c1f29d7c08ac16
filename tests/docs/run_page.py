"""Run the code blocks of a page, from top to bottom: ``python run_page.py PAGE FOLDER``.

Blocks of Python share one namespace, as in a notebook.  Blocks of shell run with ``bash -e``; those
of YAML with a field ``gal`` are GalSim configurations, and are built.  All work in FOLDER.  A block
is passed over if the line before it is a comment ``<!-- not run: REASON -->``, with a reason; after
``<!-- file: NAME -->`` it is written to that file instead.
"""

import re
import subprocess
import sys
import traceback
from pathlib import Path
from typing import NamedTuple

LANGUAGES = ("python", "sh", "yaml")
NOT_RUN = re.compile(r"<!-- not run: (.+) -->$")
FILE = re.compile(r"<!-- file: (\S+) -->$")


class Block(NamedTuple):
    """A block of code: language, text, line of the page that it begins in, why it is not run, and
    the file that it is the content of."""

    language: str
    text: str
    line: int
    not_run: str | None
    file: str | None


def blocks(page: Path) -> list[Block]:
    """The blocks of code of a page whose language is one of `LANGUAGES`."""
    found, language, start, before = [], None, 0, ""
    lines = page.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            if language is None and line.strip():
                before = line
            continue
        if language is None:
            language, start = line.removeprefix("```").strip(), number + 1
            continue
        if language in LANGUAGES:
            reason, file = NOT_RUN.match(before), FILE.match(before)
            found.append(Block(language, "\n".join(lines[start:number]), start + 1,
                               reason[1] if reason else None, file[1] if file else None))
        language, before = None, ""
    return found


def run_python(text: str, name: str, namespace: dict) -> None:
    exec(compile(text, name, "exec"), namespace)


def run_shell(text: str) -> None:
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(["bash", "-e", "-c", f"export PATH={path}:$PATH\n{text}"],
                          capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the shell ended with status {done.returncode}:\n"
                           f"{done.stdout}{done.stderr}")


def run_yaml(text: str) -> None:
    import galsim
    import yaml

    config = yaml.safe_load(text)
    if not isinstance(config, dict) or "gal" not in config:
        raise ValueError("only GalSim configurations with a field gal can be run")
    config.setdefault("modules", ["galsim_deep"])
    galsim.config.Process(config)


def main(page: Path) -> None:
    namespace = {"__name__": "__main__"}
    for block in blocks(page):
        if block.not_run:
            continue
        try:
            if block.file:
                Path(block.file).write_text(block.text + "\n", encoding="utf-8")
            elif block.language == "python":
                run_python(block.text, f"{page.name}, line {block.line}", namespace)
            elif block.language == "sh":
                run_shell(block.text)
            else:
                run_yaml(block.text)
        except BaseException:
            traceback.print_exc()
            sys.exit(f"{page}: the block of {block.language} in line {block.line} failed")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
