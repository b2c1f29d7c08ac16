"""How well do embeddings tell FRI from FRII radio galaxies?

For the confident sources of MiraBest and those of FR-DEEP, six classifiers are fitted on the
embeddings by each module, as in table 2 of Andrianomena 2023, whose figures are printed beside.  A
classifier of principal components of the pixels is the baseline.  The share of the five nearest
neighbours that have the class of a source is printed too.

    python benchmarks/radio_classes.py --mirabest mirabest.npz --mirabest-basic batches.npz \
        --frdeep frdeep_nvss.npz hub:first_vdvae hub:first_encoder

MiraBest: https://doi.org/10.5281/zenodo.4288837; FR-DEEP: https://doi.org/10.5281/zenodo.4255826.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from radio_files import Labelled, fitted, frdeep, mirabest, radio_stamps

from galsim_deep.embeddings import Embedder
from galsim_deep.embeddings.classifiers import CLASSIFIERS, Evaluation, best_of, classify
from galsim_deep.embeddings.similar import same_class_share

FIGURES = ("accuracy", "roc_auc", "specificity", "recall")
COMPONENTS = 50
"""Principal components of the pixels that the baseline is given."""
PIXELS = 64

# Andrianomena 2023, table 2: accuracy, ROC-AUC, specificity and recall on MiraBest Confident, then
# on FR-DEEP NVSS.
PAPER = {
    "VDVAE": dict(
        knn=(0.76, 0.86, 0.73, 0.78, 0.74, 0.83, 0.55, 0.89),
        rf=(0.80, 0.89, 0.80, 0.80, 0.80, 0.83, 0.73, 0.86),
        svc=(0.75, 0.88, 0.69, 0.80, 0.72, 0.84, 0.55, 0.86),
        lr=(0.73, 0.82, 0.63, 0.82, 0.72, 0.85, 0.50, 0.89),
        grad=(0.80, 0.89, 0.76, 0.84, 0.76, 0.86, 0.64, 0.86),
        ext=(0.82, 0.90, 0.82, 0.82, 0.80, 0.87, 0.73, 0.86)),
    "SimCLR": dict(
        knn=(0.63, 0.72, 0.57, 0.69, 0.72, 0.78, 0.45, 0.93),
        rf=(0.67, 0.76, 0.55, 0.78, 0.74, 0.82, 0.50, 0.93),
        svc=(0.72, 0.82, 0.71, 0.73, 0.76, 0.83, 0.50, 0.96),
        lr=(0.71, 0.73, 0.63, 0.78, 0.86, 0.84, 0.77, 0.93),
        grad=(0.64, 0.73, 0.69, 0.60, 0.78, 0.82, 0.64, 0.89),
        ext=(0.67, 0.75, 0.55, 0.78, 0.76, 0.82, 0.55, 0.93)),
    "BYOL": dict(
        knn=(0.63, 0.72, 0.67, 0.60, 0.72, 0.78, 0.41, 0.96),
        rf=(0.70, 0.77, 0.61, 0.78, 0.72, 0.84, 0.50, 0.89),
        svc=(0.73, 0.77, 0.73, 0.73, 0.84, 0.88, 0.68, 0.96),
        lr=(0.70, 0.68, 0.61, 0.78, 0.80, 0.84, 0.64, 0.93),
        grad=(0.64, 0.68, 0.59, 0.69, 0.76, 0.81, 0.55, 0.93),
        ext=(0.69, 0.77, 0.57, 0.80, 0.74, 0.83, 0.55, 0.89)),
    "SimSiam": dict(
        knn=(0.59, 0.70, 0.61, 0.56, 0.74, 0.81, 0.45, 0.96),
        rf=(0.66, 0.81, 0.57, 0.75, 0.76, 0.84, 0.55, 0.93),
        svc=(0.67, 0.77, 0.61, 0.73, 0.74, 0.86, 0.45, 0.96),
        lr=(0.66, 0.73, 0.69, 0.64, 0.82, 0.83, 0.73, 0.89),
        grad=(0.71, 0.76, 0.71, 0.71, 0.80, 0.85, 0.64, 0.93),
        ext=(0.73, 0.80, 0.61, 0.84, 0.74, 0.83, 0.50, 0.93)),
}


def pixels(labelled: Labelled) -> np.ndarray:
    """The middle of each image as the classifiers of pixels see it, from 0 to 1, [N, D]."""
    images = fitted(labelled.images, PIXELS)
    cut = (images.shape[1] - PIXELS) // 2
    return images[:, cut:cut + PIXELS, cut:cut + PIXELS].reshape(len(images), -1) / 255.0


def components(values: np.ndarray, train: np.ndarray, count: int) -> np.ndarray:
    """Principal components of the training rows, for all rows, [N, count]."""
    from sklearn.decomposition import PCA

    return PCA(count, random_state=1).fit(values[train]).transform(values)


def text(evaluation: Evaluation) -> str:
    return ", ".join(f"{getattr(evaluation.test, figure):.2f}" for figure in FIGURES)


def paper(encoder: str, name: str, first: int) -> str:
    return ", ".join(f"{number:.2f}" for number in PAPER[encoder][name][first:first + 4])


def table(title: str, labelled: Labelled, features: dict[str, np.ndarray], first: int) -> None:
    """Print the figures of all classifiers on all features."""
    train, test = ~labelled.test, labelled.test
    found = {kind: classify(values[train], labelled.label[train], values[test],
                            labelled.label[test], "FRII")
             for kind, values in features.items()}
    print(f"\n## {title}: {train.sum()} training and {test.sum()} test sources\n\n"
          "Each cell: accuracy, ROC-AUC, specificity, recall (positive: FRII).\n")
    names = [*found, *(f"paper: {encoder}" for encoder in PAPER)]
    print(f"| classifier | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    for name in CLASSIFIERS:
        cells = [text(found[kind][name]) for kind in found]
        cells += [paper(encoder, name, first) for encoder in PAPER]
        print(f"| {name} | {' | '.join(cells)} |")
    print("\nThe classifier that is best in a cross-validation of the training set:\n")
    print("| features | classifier | cross-validated accuracy | accuracy | ROC-AUC | specificity | "
          "recall |\n|---|---|---|---|---|---|---|")
    for kind, evaluations in found.items():
        best = evaluations[best_of(evaluations)]
        cells = [f"{getattr(best.test, figure):.3f} ± {getattr(best.test_error, figure):.3f}"
                 for figure in FIGURES]
        print(f"| {kind} | {best.name} | {best.validation.accuracy:.3f} ± "
              f"{best.validation_error.accuracy:.3f} | {' | '.join(cells)} |")
    binomial = np.sqrt(0.82 * 0.18 / test.sum())
    print(f"\nBinomial error of an accuracy of 0.82 of {test.sum()} sources: {binomial:.3f}.\n")


def neighbours(labelled: Labelled, features: dict[str, np.ndarray]) -> None:
    """Print the share of the five nearest neighbours that have the class of a source."""
    print("| share of the same class among five nearest neighbours | by cosine | "
          "by cosine, whitened |\n|---|---|---|")
    for kind, values in features.items():
        shares = [same_class_share(values, labelled.label, metric=metric)
                  for metric in ("cosine", "whitened")]
        print(f"| {kind} | " + " | ".join(f"{share:.3f} ± {error:.3f}" for share, error in shares)
              + " |")
    _, counts = np.unique(labelled.label, return_counts=True)
    chance = np.sum((counts / counts.sum())**2)
    print(f"| chance | {chance:.3f} | {chance:.3f} |\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mirabest", type=Path, required=True)
    parser.add_argument("--mirabest-basic", type=Path, required=True)
    parser.add_argument("--frdeep", type=Path, required=True)
    parser.add_argument("modules", nargs="+", help="handles of modules that encode")
    options = parser.parse_args()
    embedders = {handle: Embedder(handle) for handle in options.modules}
    for title, labelled, first in [
            ("MiraBest Confident", mirabest(options.mirabest, options.mirabest_basic), 0),
            ("FR-DEEP NVSS", frdeep(options.frdeep), 4)]:
        features = {handle: embedder.embed_stamps(radio_stamps(labelled, embedder.card), True)
                    for handle, embedder in embedders.items()}
        values = pixels(labelled)
        baseline = components(values, ~labelled.test, COMPONENTS)
        table(title, labelled, dict(features, **{f"{COMPONENTS} components of pixels": baseline}),
              first)
        every = np.ones(len(values), bool)
        neighbours(labelled, dict(features, **{
            f"{count} components of pixels": components(values, every, count)
            for count in (10, 30, 100)}))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
