"""Tables of embeddings, as Parquet or FITS files."""

__all__ = ["EmbeddingTable", "read_embeddings", "table_of"]

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from galsim import GalSimError, GalSimValueError
from numpy.typing import NDArray

from ..modules.card import EmbedderReference
from ..runtime.atomic_files import replace_file
from .embedder import Embedder
from .stamps import Stamps

if TYPE_CHECKING:
    from astropy.table import Table

EMBEDDING, THUMBNAIL, NAME = "embedding", "thumbnail", "id"
"""Columns of a table that are not catalogue columns."""
SHA_DIGITS = 16
"""Digits of the sha256 of the weights of the module that are kept with its embeddings."""
SUFFIXES = {".parquet": "parquet", ".fits": "fits"}


class EmbeddingTable:
    """The embeddings of stamps, with their columns and pictures.

    Parameters:
        table:          An astropy Table with the columns ``id``, ``embedding`` [N, D],
                        ``thumbnail`` [N, t, t, 3] (uint8; may be absent) and any others.

    Raises:
        galsim.GalSimError: if it has no embeddings or is empty.

    Example::

        >>> from astropy.table import Table
        >>> table = EmbeddingTable(Table(dict(id=[7, 8], embedding=np.eye(2), label=["a", "b"])))
        >>> len(table), table.embedding.shape, table.row_of(8), table.column("label").tolist()
        (2, (2, 2), 1, ['a', 'b'])
    """

    def __init__(self, table: "Table") -> None:
        where = f"The table {table.meta.get('file_name', '')}".rstrip()
        if EMBEDDING not in table.colnames or table[EMBEDDING].ndim != 2:
            raise GalSimError(f"{where} has no column '{EMBEDDING}' of vectors. Make it with "
                              "'galsim-deep embed'.")
        if not len(table):
            raise GalSimError(f"{where} is empty.")
        if not np.isfinite(np.asarray(table[EMBEDDING], float)).all():
            raise GalSimError(f"{where} has embeddings that are not finite.")
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    @property
    def embedding(self) -> NDArray[np.float64]:
        """The embeddings, [N, D]."""
        return np.asarray(self.table[EMBEDDING], float)

    @property
    def names(self) -> np.ndarray:
        """The name or number of each stamp, [N]."""
        return np.asarray(self.table[NAME]) if NAME in self.table.colnames else np.arange(len(self))

    @property
    def thumbnails(self) -> NDArray[np.uint8] | None:
        """Pictures of the stamps, uint8 [N, t, t, 3]; None if the table has none."""
        if THUMBNAIL not in self.table.colnames:
            return None
        return np.asarray(self.table[THUMBNAIL], np.uint8)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the other columns."""
        return tuple(name for name in self.table.colnames
                     if name not in (EMBEDDING, THUMBNAIL, NAME))

    def column(self, name: str) -> np.ndarray:
        """A column, [N].

        Raises a `galsim.GalSimValueError` that lists the columns if there is none of this name.
        """
        if name not in self.columns:
            raise GalSimValueError("The table of embeddings has no such column.", name,
                                   list(self.columns))
        return np.asarray(self.table[name])

    def row_of(self, name: object) -> int:
        """The row of a stamp by its name or number.

        Raises a `galsim.GalSimError` if there is none, or more than one.
        """
        rows = np.flatnonzero(self.names.astype(str) == str(name))
        if len(rows) != 1:
            raise GalSimError(f"{len(rows)} rows of the table of embeddings have the id '{name}', "
                              f"not one. It has {len(self)} rows, the first has the id "
                              f"'{self.names[0]}'.")
        return int(rows[0])

    def check_like(self, other: "EmbeddingTable") -> None:
        """Raise a `galsim.GalSimError` if another table has embeddings of another module."""
        if self.embedding.shape[1] != other.embedding.shape[1]:
            raise GalSimError(
                f"The tables have embeddings of {self.embedding.shape[1]} and "
                f"{other.embedding.shape[1]} numbers. Embed both with the same module.")
        symmetries = [str(table.table.meta.get("SYMMETRY", "")) for table in (self, other)]
        if all(symmetries) and symmetries[0] != symmetries[1]:
            raise GalSimError("One of the tables was made with --symmetries, and the other "
                              "without. Embed both alike.")
        modules = [str(table.table.meta.get("SAVEDSHA", "")) for table in (self, other)]
        if all(modules) and modules[0] != modules[1]:
            raise GalSimError("The tables have embeddings of different modules. Embed both with "
                              "the same module.")

    def check_made_by(self, embedder: EmbedderReference) -> None:
        """Raise a `galsim.GalSimError` if the embeddings are known to be of another module."""
        meta = self.table.meta
        made_by = str(meta.get("SAVEDSHA", ""))
        if made_by and made_by != embedder.weights_sha256[:SHA_DIGITS]:
            raise GalSimError(
                f"The table has embeddings by {meta.get('MODULE')} {meta.get('MODVERS')}, and the "
                f"density is one of those by {embedder.name} {embedder.version}. Embed the stamps "
                f"with {embedder.name}.")

    def write(self, path: str | os.PathLike) -> None:
        """Write the table as Parquet or FITS, by the suffix of the name.

        Raises a `galsim.GalSimError` for another suffix, or if pyarrow is missing for Parquet.
        """
        path = Path(path)
        table = self.table.copy()
        table.meta.pop("file_name", None)
        if _format(path) == "fits":
            with replace_file(path) as fresh:
                table.write(fresh, format="fits", overwrite=True)
            return
        pyarrow, parquet = _import_pyarrow()
        arrays = {}
        for name in table.colnames:
            values = np.asarray(table[name])
            if values.ndim > 1:
                flat = np.ascontiguousarray(values.reshape(len(values), -1))
                arrays[name] = pyarrow.FixedSizeListArray.from_arrays(
                    pyarrow.array(flat.ravel()), flat.shape[1])
            else:
                arrays[name] = pyarrow.array(values.tolist() if values.dtype.kind in "SU"
                                             else values)
        meta = {key: str(value) for key, value in table.meta.items()}
        meta["shapes"] = repr({name: tuple(table[name].shape[1:]) for name in table.colnames
                               if table[name].ndim > 1})
        with replace_file(path) as fresh:
            parquet.write_table(pyarrow.table(arrays).replace_schema_metadata(meta), fresh)


def table_of(embedder: Embedder, stamps: Stamps, symmetries: bool = False) -> EmbeddingTable:
    """Embed stamps, and make a table of the result.

    Parameters:
        embedder:       The module.
        stamps:         The stamps.
        symmetries:     As for `Embedder.embed`.
    """
    from astropy.table import Table

    card = embedder.card
    table = Table({NAME: stamps.names, EMBEDDING: embedder.embed_stamps(stamps, symmetries)})
    for name, values in stamps.columns.items():
        if name not in table.colnames:
            table[name] = values
    if embedder.has_position_angle and "position_angle" not in table.colnames:
        table["position_angle"] = embedder.position_angles(
            stamps.images, stamps.psf, stamps.noise_sigma, stamps.columns)
    table[THUMBNAIL] = stamps.thumbnails()
    table.meta.update(MODULE=card.name, MODVERS=card.version, SYMMETRY=symmetries,
                      SAVEDSHA=card.weights_sha256[:SHA_DIGITS])
    return EmbeddingTable(table)


def read_embeddings(path: str | os.PathLike) -> EmbeddingTable:
    """Read a table of embeddings.

    Raises a `galsim.GalSimError` if it cannot be read or has no embeddings.
    """
    from astropy.table import Table

    path = Path(path)
    if not path.is_file():
        raise GalSimError(f"There is no table {path}. Make it with 'galsim-deep embed'.")
    if _format(path) == "fits":
        try:
            table = Table.read(path, format="fits")
        except (OSError, ValueError) as err:
            raise GalSimError(f"The table {path} cannot be read: {err}") from err
        for name in table.colnames:
            if table[name].dtype.kind == "S":
                table[name] = np.char.decode(np.asarray(table[name]), "utf-8")
    else:
        import ast

        pyarrow, parquet = _import_pyarrow()
        try:
            content = parquet.read_table(path)
        except (OSError, pyarrow.ArrowInvalid) as err:
            raise GalSimError(f"The table {path} cannot be read: {err}") from err
        meta = {key.decode(): value.decode()
                for key, value in (content.schema.metadata or {}).items()}
        shapes = ast.literal_eval(meta.pop("shapes", "{}"))
        table = Table(meta={key: value for key, value in meta.items() if key.isupper()})
        for name in content.column_names:
            values = content[name].combine_chunks()
            if name in shapes:
                array = np.asarray(values.flatten()).reshape(len(content), *shapes[name])
            else:
                array = np.asarray(values.to_pylist() if pyarrow.types.is_string(values.type)
                                   else values)
            table[name] = array
    table.meta["file_name"] = path.name
    return EmbeddingTable(table)


def _format(path: Path) -> str:
    if path.suffix not in SUFFIXES:
        raise GalSimError(f"{path}: a table of embeddings is a Parquet or a FITS file; give a name "
                          "that ends in .parquet or .fits.")
    return SUFFIXES[path.suffix]


def _import_pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as err:
        raise GalSimError("Parquet files need the package pyarrow. Install the extra 'embed' of "
                          "galsim-deep, or use a name that ends in .fits.") from err
    return pyarrow, parquet
