"""External data: files of galaxies that the project may not redistribute.

``galsim-deep-train fetch NAME`` downloads them from their public origin; recipes name them as
``fetched:NAME``.  Each is one file, as its authors publish it, with a checksum that is compared
whenever the file is used.

======================  ============================================================================
``$GALSIM_DEEP_DATA``   the folder of external data; if the file is there already, it is not
                        downloaded (default: ``data`` in the cache of `galsim_deep`)
======================  ============================================================================
"""

__all__ = ["EXTERNAL_DATA", "ExternalData", "PREFIX", "external", "external_folder"]

import dataclasses
import difflib
import os
import shutil
from pathlib import Path

from galsim.errors import GalSimValueError

from galsim_deep.modules.cache import cache_dir
from galsim_deep.modules.download import check_sha256, download, is_offline
from galsim_deep.modules.errors import HandleError
from galsim_deep.runtime.atomic_files import WriteError, replace_file, temporary_folder

PREFIX = "fetched:"
"""What the names of external data begin with in recipes."""


@dataclasses.dataclass(frozen=True)
class ExternalData:
    """A file that is downloaded from its public origin.

    >>> data = EXTERNAL_DATA["radio_galaxy_dataset"]
    >>> data.path == external_folder() / "galaxy_data_h5.zip"
    True
    """

    name: str
    """The name in commands and, after ``fetched:``, in recipes."""
    summary: str
    url: str
    """The address of one version of the file, which does not change."""
    sha256: str
    size: int
    """Size of the file [bytes]."""
    also: str
    """Where else the authors publish it; only the checksum tells whether that is the same file."""
    terms: str
    """Licence or terms of use."""
    citation: str

    @property
    def file_name(self) -> str:
        """The name of the file, as its authors call it."""
        return self.url.rpartition("/")[2]

    @property
    def path(self) -> Path:
        """Where the file is kept; it need not be there yet."""
        return external_folder() / self.file_name

    def find(self) -> Path:
        """The file on this machine.

        Raises a `galsim_deep.modules.errors.HandleError` if it is absent, which names the command
        that downloads it, or if it is another file than expected.
        """
        if not self.path.is_file():
            raise HandleError(
                f"{PREFIX}{self.name} is not on this machine: {self.path} does not exist. Run "
                f"'galsim-deep-train fetch {self.name}' to download it, or name the folder that "
                f"holds {self.file_name} in $GALSIM_DEEP_DATA.")
        check_sha256(self.path, self.sha256, self.path, "remove it and run "
                     f"'galsim-deep-train fetch {self.name}' to download it again")
        return self.path

    def fetch(self, local: str | os.PathLike | None = None, offline: bool | None = None) -> Path:
        """Download the file, unless it is on this machine already.

        Parameters:
            local:      A folder that holds the file, which is copied from there.
                        [default: None; the file is downloaded]
            offline:    If True, never use the network.  [default: None, which means that
                        ``$GALSIM_DEEP_OFFLINE`` determines it]

        Returns:
            the path of the file.

        Raises:
            galsim_deep.modules.errors.HandleError: The file cannot be downloaded or written, is not
                in the local folder, or is another one than expected.  Nothing of it is left.
        """
        if self.path.is_file():
            return self.find()
        if local is None and is_offline(offline):
            raise HandleError(
                f"{self.name} is not on this machine and was not downloaded, because the offline "
                f"switch is on. Unset $GALSIM_DEEP_OFFLINE to download it, or {self._by_hand()}.")
        try:
            with temporary_folder(self.path.parent) as scratch:
                file = self._downloaded(scratch) if local is None else self._copied(local, scratch)
                with replace_file(self.path) as fresh:
                    os.replace(file, fresh)
        except WriteError as err:
            raise HandleError(f"{err} Name another folder in $GALSIM_DEEP_DATA.") from err
        return self.path

    def _downloaded(self, folder: Path) -> Path:
        """The file, downloaded into a folder."""
        file = download(self.url, folder, self.name, self.size, advice=self._by_hand())
        check_sha256(file, self.sha256, f"{self.name}, as it was downloaded,",
                     f"try again, or {self._by_hand()}")
        return file

    def _copied(self, local: str | os.PathLike, folder: Path) -> Path:
        """The file, copied from a local folder into another one."""
        source = Path(local).expanduser() / self.file_name
        if not source.is_file():
            raise HandleError(f"{source} does not exist. Put {self.file_name} into the folder, "
                              f"from {self.url} (its authors also publish it at {self.also}).")
        file = Path(shutil.copyfile(source, folder / self.file_name))
        check_sha256(file, self.sha256, source, f"get it again, from {self.url}")
        return file

    def _by_hand(self) -> str:
        """How to get the file onto this machine without `download`, for messages."""
        return (f"download {self.url} (its authors also publish it at {self.also}) on another "
                f"machine and put {self.file_name} into {self.path.parent}, or give the folder "
                "that holds it with --from")


EXTERNAL_DATA = {data.name: data for data in (
    ExternalData(
        name="radio_galaxy_dataset",
        summary="images of 2158 radio sources of the FIRST survey with their classes",
        # Git identifies the file by its content, so that this address can give no other.
        url="https://raw.githubusercontent.com/floriangriese/RadioGalaxyDataset/"
            "d647d93045c1dca504dc969f2e271fc35f1ab606/firstgalaxydata/galaxy_data_h5.zip",
        sha256="1f9656a9fe2519857a5b7c7498f60087a6af73d8015b85559418ce30cc212c52",
        size=2545839,
        also="https://doi.org/10.5281/zenodo.7120632",
        terms="data set: MIT licence. Images of FIRST: copyright 1994 University of California; "
              "publication and reproduction are permitted for scholarly, educational and private "
              "non-commercial use",
        citation="Griese, Kummer & Rustige 2022, Zenodo, 10.5281/zenodo.7120632; Griese et al. "
                 "2023, Data in Brief 47, 108974; Becker, White & Helfand 1995, ApJ 450, 559"),
)}
"""All external data, by name."""


def external(name: str) -> ExternalData:
    """External data by their name.

    Raises a `galsim.GalSimValueError` that lists the names if there are none of this name.

    >>> external("radio_galaxy_dataset").file_name
    'galaxy_data_h5.zip'
    """
    if name not in EXTERNAL_DATA:
        near = difflib.get_close_matches(name, EXTERNAL_DATA, n=1)
        raise GalSimValueError(
            "There are no external data of this name."
            + (f" Did you mean {near[0]}?" if near else ""), name, sorted(EXTERNAL_DATA))
    return EXTERNAL_DATA[name]


def external_folder() -> Path:
    """The folder of external data.  It need not exist yet.

    >>> external_folder().is_absolute()
    True
    """
    if os.environ.get("GALSIM_DEEP_DATA"):
        return Path(os.path.abspath(os.path.expanduser(os.environ["GALSIM_DEEP_DATA"])))
    return cache_dir() / "data"
