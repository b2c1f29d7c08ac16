"""The commands ``galsim-deep embed | similar | score | classify | map``."""

__all__ = ["add_commands"]

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from galsim import GalSimError

from ..modules.resolve import command_line_handle

if TYPE_CHECKING:
    from astropy.table import Table

    from .tables import EmbeddingTable

METRICS = dict(cosine="cosine of the angle between embeddings",
               whitened="cosine of the angle between whitened principal components of embeddings",
               euclidean="negative distance between embeddings")
"""What the metrics of `find_similar` compare."""
MOST_PICTURES = 60
"""Largest number of pictures in a strip, and of queries on a page."""


def add_commands(command: Callable[[str, Callable[[Any], None], str], argparse.ArgumentParser]
                 ) -> None:
    """Add the commands to the parser of ``galsim-deep``.

    Parameters:
        command:    (name, function that carries it out, text) -> the parser of a new command.
    """
    embed = command("embed", _embed, "embed stamps: turn each into a vector of numbers")
    embed.add_argument("module", help="a name, or any handle, of a module that encodes")
    embed.add_argument("--stamps", required=True, type=Path,
                       help="an HDF5 file of 'galsim-deep-train data', the collection of real "
                            "galaxies, a GalSim catalogue folder, a FITS file of 'galsim-deep "
                            "sample', or an .npz file with 'images'")
    embed.add_argument("--output", required=True, type=Path,
                       help="the table, a .parquet or .fits file")
    embed.add_argument("--split", choices=("test", "train", "all"), default="test",
                       help="part of a data set or collection [default: test]")
    embed.add_argument("--count", type=int, help="largest number of stamps, chosen at random")
    embed.add_argument("--full-scale", type=float,
                       help="pixel value of an .npz file that is 1 in the units of the module")
    embed.add_argument("--pixel-scale", type=float,
                       help="size of a pixel of an .npz or FITS file [arcsec]")
    embed.add_argument("--zero-point", type=float,
                       help="AB magnitude of unit flux of the stamps [default: that of the file or "
                            "header, otherwise the module's]")
    embed.add_argument("--like", type=Path, metavar="DATA",
                       help="data set like whose test stamps generated galaxies are observed, "
                            "with PSF and noise")
    embed.add_argument("--column", action="append", default=[], metavar="COLUMN=NAME",
                       help="name in the file of a column of the module, if it differs")
    embed.add_argument("--symmetries", action="store_true",
                       help="average over the eight symmetries of the square")

    similar = command("similar", _similar, "find the stamps that look most like others")
    similar.add_argument("table", type=Path, help="table of embeddings to search")
    similar.add_argument("--query", type=Path,
                         help="table of embeddings of the stamps to look for [default: TABLE]")
    similar.add_argument("--id", action="append", metavar="ID",
                         help="id of a stamp to look for; may be given several times "
                              "[default: all]")
    similar.add_argument("--neighbours", type=int, default=5,
                         help="number of neighbours [default: 5]")
    similar.add_argument("--metric", choices=("cosine", "whitened", "euclidean"), default="cosine",
                         help="cosine of the angle between embeddings, or between their whitened "
                              "principal components, or their distance [default: cosine]")
    similar.add_argument("--faiss", action="store_true",
                         help="search with faiss, for millions of rows")
    _output(similar, "similar.html and neighbours.ecsv")

    score = command("score", _score, "log-likelihoods of embeddings, and which are outliers")
    score.add_argument("density", help="a name, or any handle, of a density of embeddings")
    score.add_argument("table", type=Path, help="table of embeddings")
    score.add_argument("--reference", type=Path,
                       help="table of embeddings that are no outliers [default: TABLE]")
    _output(score, "score.html and scores.ecsv")

    classify = command("classify", _classify, "six classifiers on embeddings with labels")
    classify.add_argument("table", type=Path, help="table of embeddings")
    classify.add_argument("--label", required=True, metavar="COLUMN", help="column of the classes")
    classify.add_argument("--test-table", type=Path,
                          help="table of embeddings of the test set [default: a share of TABLE]")
    classify.add_argument("--test-share", type=float, default=0.2,
                          help="share of TABLE that is the test set [default: 0.2]")
    classify.add_argument("--positive", help="the positive class of two [default: the last one]")
    _output(classify, "classes.html, figures.ecsv and predictions.ecsv")

    atlas = command("map", _map, "map of embeddings in two dimensions, with pictures")
    atlas.add_argument("table", type=Path, help="table of embeddings")
    atlas.add_argument("--colour", metavar="COLUMN",
                       help="column that colours the map, and whose relation to the embeddings is "
                            "measured")
    atlas.add_argument("--method", choices=("tsne", "umap"), default="tsne",
                       help="[default: tsne]")
    _output(atlas, "map.html and map.ecsv")
    for parser in (embed, classify, atlas):
        parser.add_argument("--seed", type=int, default=1, help="random seed [default: 1]")


def _output(parser: argparse.ArgumentParser, files: str) -> None:
    parser.add_argument("--output", required=True, type=Path, help=f"folder for {files}")


def _check_packages() -> None:
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
        import sklearn  # noqa: F401
    except ImportError as err:
        raise GalSimError(f"This command needs the package {err.name}. Install the extra 'embed' "
                          "of galsim-deep (see README.md).") from err


def _embed(options: argparse.Namespace) -> None:
    from .embedder import Embedder
    from .stamps import read_stamps
    from .tables import SUFFIXES, table_of

    columns = dict(pair.split("=", 1) for pair in options.column if "=" in pair)
    if len(columns) < len(options.column):
        raise GalSimError("--column takes COLUMN=NAME: a column of the module, and its name in the "
                          "file.")
    if options.output.suffix not in SUFFIXES:
        raise GalSimError(f"{options.output}: give a name that ends in .parquet or .fits.")
    if options.count is not None and options.count < 1:
        raise GalSimError(f"--count is {options.count}, and must be at least 1.")
    embedder = Embedder(command_line_handle(options.module))
    stamps = read_stamps(
        options.stamps, embedder.card, split=options.split, count=options.count, seed=options.seed,
        full_scale=options.full_scale, pixel_scale=options.pixel_scale,
        zero_point=options.zero_point, like=options.like, columns=columns)
    table = table_of(embedder, stamps, options.symmetries)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    table.write(options.output)
    print(f"{len(table)} embeddings of {table.embedding.shape[1]} numbers -> {options.output}")


def _write(table: "Table", path: Path) -> None:
    from ..runtime.atomic_files import replace_file

    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as fresh:
        table.write(fresh, format="ascii.ecsv", overwrite=True)


def _pictures(table: "EmbeddingTable", rows: np.ndarray) -> list[np.ndarray]:
    """The pictures of some rows; grey squares if the table has none."""
    if table.thumbnails is None:
        return [np.full((24, 24, 3), 128, np.uint8) for _ in rows]
    return list(table.thumbnails[rows])


def _similar(options: argparse.Namespace) -> None:
    _check_packages()
    from astropy.table import Table

    from .page import Page, Strip
    from .similar import find_similar
    from .tables import read_embeddings

    catalogue = read_embeddings(options.table)
    query = catalogue if options.query is None else read_embeddings(options.query)
    query.check_like(catalogue)
    rows = (np.arange(len(query)) if not options.id
            else np.array([query.row_of(name) for name in options.id]))
    sources = None
    if options.query is None:
        # Neither the stamp itself nor copies of it, such as those that are turned.
        sources = (catalogue.column("source") if "source" in catalogue.columns
                   else np.arange(len(catalogue)))
    found = find_similar(query.embedding[rows], catalogue.embedding, options.neighbours,
                         options.metric, None if sources is None else sources[rows], sources,
                         options.faiss)
    count = found.rows.shape[1]
    _write(Table(dict(query=np.repeat(query.names[rows], count),
                      rank=np.tile(np.arange(1, count + 1), len(rows)),
                      id=catalogue.names[found.rows.ravel()],
                      similarity=found.similarity.ravel())), options.output / "neighbours.ecsv")
    page = Page("Stamps that look alike",
                f"For each stamp of {(options.query or options.table).name}, its nearest "
                f"neighbours in {options.table.name} by the "
                f"{METRICS[options.metric]}, with that number below each picture.")
    shown = np.arange(len(rows))[:MOST_PICTURES]
    page.section(f"The first {len(shown)} of {len(rows)}", strips=[
        Strip("", _pictures(query, rows[[number]]) + _pictures(catalogue, found.rows[number]),
              [f"{query.names[rows[number]]}"] + [
                  f"{catalogue.names[row]}: {similarity:.3f}" for row, similarity in
                  zip(found.rows[number], found.similarity[number], strict=True)])
        for number in shown])
    print(page.write(options.output / "similar.html").resolve())


def _score(options: argparse.Namespace) -> None:
    _check_packages()
    from astropy.table import Table

    from .page import Page, Strip
    from .score import OUTLIER_SHARE, score
    from .tables import read_embeddings

    table = read_embeddings(options.table)
    reference = None if options.reference is None else read_embeddings(options.reference)
    scores = score(command_line_handle(options.density), table, reference)
    order = scores.order
    _write(Table(dict(id=table.names[order], log_prob=scores.log_prob[order],
                      outlier=scores.outliers[order])), options.output / "scores.ecsv")
    share = float(scores.outliers.mean())
    name = (options.reference or options.table).name
    page = Page("Log-likelihoods of embeddings",
                f"{100 * share:.1f} % of the {len(table)} stamps of {options.table.name} are less "
                f"likely than {100 * (1 - OUTLIER_SHARE):.0f} % of those of {name}. A likelihood "
                "is no proof: smooth or empty images may be likely although they are unlike all "
                "others. Look at both ends.")
    page.section("Distribution", figures=[("Log-likelihoods; the line is the threshold.",
                                           _histogram(scores, name, options.table.name))])
    for title, rows in [("The least likely", order[:24]), ("The most likely", order[:-25:-1])]:
        page.section(title, strips=[Strip("", _pictures(table, rows), [
            f"{table.names[row]}: {scores.log_prob[row]:.0f}" for row in rows])])
    print(page.write(options.output / "score.html").resolve())
    print(f"share of outliers: {share:.4f} (threshold {scores.threshold:.4g})")


def _histogram(scores: Any, reference: str, name: str) -> Any:
    from ..picture import new_figure

    figure = new_figure(7, 3.2)
    axes = figure.subplots()
    both = np.concatenate([scores.reference, scores.log_prob])
    low, high = np.quantile(both, [0.005, 1.0])
    bins = np.linspace(low, high, 50).tolist()
    axes.hist(np.clip(scores.reference, low, high), bins, density=True, color="#222222",
              histtype="step", label=reference)
    axes.hist(np.clip(scores.log_prob, low, high), bins, density=True, color="#d1495b", alpha=0.5,
              label=name)
    axes.axvline(scores.threshold, color="#777777", linestyle="--")
    axes.set_xlabel("log-likelihood [nats]")
    axes.set_ylabel("density")
    axes.legend(fontsize=8)
    return figure


def _test_rows(table: "EmbeddingTable", share: float, seed: int) -> np.ndarray:
    """Whether each row is in the test set, bool [N]; the rows of one source stay together."""
    if not 0 < share < 1:
        raise GalSimError(f"--test-share is {share:g}, and must be between 0 and 1.")
    source = table.column("source") if "source" in table.columns else np.arange(len(table))
    names = np.random.default_rng([seed, 14]).permutation(np.unique(source))
    return np.isin(source, names[:max(1, round(share * len(names)))])


def _with_labels(table: "EmbeddingTable", label: str) -> "EmbeddingTable":
    """The rows whose label is known: neither masked, empty, NaN nor -1, which data sets have for
    classes that are not known."""
    from .tables import EmbeddingTable

    values = table.column(label).astype(str)  # raises an error if there is no such column
    masked = np.ma.getmaskarray(np.ma.asarray(table.table[label]))
    known = ~(np.isin(np.char.lower(values), ["", "nan", "-1", "-1.0"]) | masked)
    if not known.any():
        raise GalSimError(f"No row has a label: the column '{label}' has none that is known.")
    if not known.all():
        print(f"left out {np.sum(~known)} of {len(table)} rows without a label")
    return EmbeddingTable(table.table[known])


def _classify(options: argparse.Namespace) -> None:
    _check_packages()
    from astropy.table import Table

    from .classifiers import best_of, classify
    from .page import Page, Strip
    from .tables import EmbeddingTable, read_embeddings

    table = _with_labels(read_embeddings(options.table), options.label)
    if options.test_table is None:
        test_rows = _test_rows(table, options.test_share, options.seed)
        train, test = (EmbeddingTable(table.table[rows]) for rows in (~test_rows, test_rows))
    else:
        train, test = table, _with_labels(read_embeddings(options.test_table), options.label)
        train.check_like(test)
    label, truth = (part.column(options.label).astype(str) for part in (train, test))
    sources, test_sources = (part.column("source") if "source" in part.columns else None
                             for part in (train, test))
    found = classify(train.embedding, label, test.embedding, truth, options.positive, sources,
                     options.seed, test_sources=test_sources)
    rows = []
    for name, evaluation in found.items():
        row: dict[str, Any] = dict(classifier=name)
        for figure in ("accuracy", "roc_auc", "specificity", "recall"):
            row[figure] = getattr(evaluation.test, figure)
            row[f"{figure}_error"] = getattr(evaluation.test_error, figure)
            row[f"{figure}_cv"] = getattr(evaluation.validation, figure)
            row[f"{figure}_cv_error"] = getattr(evaluation.validation_error, figure)
        rows.append(row)
    _write(Table(rows), options.output / "figures.ecsv")
    _write(Table(dict(id=test.names, label=truth, **{
        name: evaluation.predicted for name, evaluation in found.items()})),
        options.output / "predictions.ecsv")
    best = best_of(found)
    classes = sorted(set(label.tolist()))
    page = Page(f"Classes of {options.table.name}",
                f"Six classifiers of embeddings, fitted on {len(train)} stamps and tested on "
                f"{len(test)}; classes: {', '.join(classes)}. In a cross-validation of the "
                f"training set, {best} has the largest accuracy.")
    page.section("Figures", "On the test set, with errors from bootstrap samples.", Table([dict(
        classifier=name, **{figure: f"{getattr(e.test, figure):.2f} ± "
                            f"{getattr(e.test_error, figure):.2f}"
                            for figure in ("accuracy", "roc_auc", "specificity", "recall")},
        cross_validation=f"{e.validation.accuracy:.3f} ± {e.validation_error.accuracy:.3f}")
        for name, e in found.items()]))
    counts = np.array([[np.sum((truth == true) & (found[best].predicted == said))
                        for said in classes] for true in classes])
    page.section(f"What {best} takes for what", "Rows: true class; columns: predicted class.",
                 Table(dict({"": classes}, **{said: counts[:, number]
                                              for number, said in enumerate(classes)})),
                 figures=[("ROC curves.", _roc_curves(found, truth, classes, options.positive))]
                 if len(classes) == 2 else [])
    wrong = np.flatnonzero(found[best].predicted != truth)
    page.section(f"Misclassified by {best}", strips=[Strip("", _pictures(test, wrong[:48]), [
        f"{test.names[row]}: {truth[row]}, taken for {found[best].predicted[row]}"
        for row in wrong[:48]])])
    print(page.write(options.output / "classes.html").resolve())
    for name, evaluation in found.items():
        figures = evaluation.test
        print(f"{name:5s} accuracy {figures.accuracy:.3f}  ROC-AUC {figures.roc_auc:.3f}  "
              f"specificity {figures.specificity:.3f}  recall {figures.recall:.3f}")


def _roc_curves(found: Any, truth: np.ndarray, classes: list[str], positive: str | None) -> Any:
    from sklearn.metrics import roc_curve

    from ..picture import new_figure

    figure = new_figure(4.2, 4)
    axes = figure.subplots()
    number = classes.index(positive) if positive else len(classes) - 1
    for name, evaluation in found.items():
        false, true, _ = roc_curve(truth == classes[number], evaluation.probability[:, number])
        axes.plot(false, true, label=f"{name} ({evaluation.test.roc_auc:.2f})")
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
    axes.set_xlabel("share of others taken for " + classes[number])
    axes.set_ylabel("share recognised")
    axes.legend(fontsize=8)
    return figure


def _map(options: argparse.Namespace) -> None:
    _check_packages()
    from astropy.table import Table

    from .atlas import LEAST, importance, map_of, principal_components
    from .page import Page
    from .tables import read_embeddings

    table = read_embeddings(options.table)
    colour = None if options.colour is None else table.column(options.colour)
    places = map_of(table.embedding, options.method, options.seed)
    content = dict(id=table.names, x=places[:, 0], y=places[:, 1])
    if colour is not None:
        content[options.colour] = colour
    _write(Table(content), options.output / "map.ecsv")
    shares = principal_components(table.embedding)
    needed = [int(np.searchsorted(shares, level)) + 1 for level in (0.95, 0.98)]
    page = Page(f"Map of {options.table.name}",
                f"{len(table)} embeddings of {table.embedding.shape[1]} numbers in two dimensions "
                f"({options.method}). {needed[0]} principal components hold 95 % of their "
                f"variance, {needed[1]} hold 98 %.")
    page.section("Map", figures=[
        (f"Colour: {options.colour}." if options.colour else "Each point is a stamp.",
         _scatter(places, colour, options.colour)),
        ("The stamps at their places.", _picture_map(places, table))])
    known = (np.zeros(len(table), bool) if colour is None or colour.dtype.kind not in "iuf"
             else np.isfinite(colour.astype(float)))
    if colour is not None and known.sum() >= LEAST:
        source = table.column("source") if "source" in table.columns else np.arange(len(table))
        found = importance(table.embedding[known], colour[known], options.seed, source[known])
        page.section(f"Which numbers tell of {options.colour}", (
            f"A random forest explains {100 * found.score:.0f} % of the variance of "
            f"{options.colour} in stamps that it was not fitted on."),
            figures=[("Importance and mean absolute value of each number of the embedding.",
                      _importance_figure(found))])
        print(f"variance of {options.colour} explained: {found.score:.3f}")
    print(page.write(options.output / "map.html").resolve())
    print(f"principal components for 95 %: {needed[0]}, for 98 %: {needed[1]}")


def _scatter(places: np.ndarray, colour: np.ndarray | None, name: str | None) -> Any:
    from ..picture import new_figure

    figure = new_figure(8, 6.5)
    axes = figure.subplots()
    if colour is None or colour.dtype.kind in "iuf":
        points = axes.scatter(places[:, 0], places[:, 1], s=8, cmap="viridis",
                              c=None if colour is None else colour.astype(float))
        if colour is not None:
            figure.colorbar(points, label=name)
    else:
        for value in np.unique(colour):
            its = places[colour == value]
            axes.scatter(its[:, 0], its[:, 1], s=8, label=str(value))
        axes.legend(fontsize=8)
    axes.set_xticks([])
    axes.set_yticks([])
    return figure


def _picture_map(places: np.ndarray, table: "EmbeddingTable") -> Any:
    from ..picture import new_figure
    from .atlas import placed

    cells = int(np.clip(np.sqrt(2 * len(places)), 4, 24))
    rows, at = placed(places, cells)
    pictures = _pictures(table, rows)
    side = len(pictures[0])
    sheet = np.full((cells * side, cells * side, 3), 255, np.uint8)
    for picture, (x, y) in zip(pictures, at, strict=True):
        top = (cells - 1 - y) * side
        sheet[top:top + side, x * side:(x + 1) * side] = picture
    figure = new_figure(9, 9)
    axes = figure.subplots()
    axes.imshow(sheet, interpolation="nearest")
    axes.set_axis_off()
    return figure


def _importance_figure(found: Any) -> Any:
    from ..picture import new_figure

    figure = new_figure(8, 3)
    axes = figure.subplots()
    axes.plot(found.share, color="#d1495b", label="importance")
    axes.set_xlabel("number of the embedding")
    axes.set_ylabel("importance")
    other = axes.twinx()
    other.plot(found.size, color="#3c7dc4", linewidth=0.8, label="mean absolute value")
    other.set_ylabel("mean absolute value")
    figure.legend(fontsize=8)
    return figure
