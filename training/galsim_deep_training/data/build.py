"""Build the data set of a recipe: make its examples in several processes and write the file."""

__all__ = ["build"]

import contextlib
import functools
import mmap
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import galsim
from tqdm import tqdm

from ..recipe import Recipe
from .builders import make_builder
from .dataset import DatasetWriter
from .example import Example
from .identity import data_settings_hash

CHUNK = 16
"""Number of examples that a process makes at a time."""
CHUNKS_AHEAD = 4
"""Number of chunks for each process that are made or wait to be written.  It limits the memory that
examples take if they are made faster than they are written."""

MakeExample = Callable[[int], Example | None]


def build(recipe: Recipe, path: str | os.PathLike, processes: int = 2, progress: bool = True,
          new: tuple[int, str] | None = None) -> tuple[int, int]:
    """Build the data set of a recipe, or a file of new examples for validation.

    Parameters:
        recipe:     The recipe.
        path:       The HDF5 file to write.
        processes:  Number of processes that make examples; the file does not depend on it.
        progress:   Whether to show a progress bar and to print the number of examples.
        new:        (count, sources): make this many new examples, see `Builder.new_example`.
                    [default: the data set itself]

    Returns:
        (number of examples written, number of galaxies that could not be used).

    Raises:
        galsim.GalSimError: if the recipe or its survey data cannot be used, the file cannot be
            written, or a process was killed.  Then no file is left behind.
    """
    start = time.time()
    builder = make_builder(recipe)
    count = len(builder)
    make_example: MakeExample = builder.example
    if new is not None:
        count, sources = new
        make_example = functools.partial(builder.new_example, sources=sources)
    columns = [column.name for column in recipe.columns]
    written = skipped = 0
    with (
        DatasetWriter(path, recipe.stamp, columns, builder.psfs(), data_settings_hash(recipe),
                      recipe.seed, builder.noise_correlations(), builder.clipping,
                      len(recipe.bands), builder.embedder) as writer,
        _worker_processes(processes, make_example) as workers,
        # After the workers have been forked, because the progress bar starts a thread.
        tqdm(total=count, unit="stamp", disable=not progress) as bar,
    ):
        for chunk in _in_order(workers, count, CHUNKS_AHEAD * processes):
            examples = [example for example in chunk if example is not None]
            for example in builder.complete(examples):
                writer.add(example)
            written += len(examples)
            skipped += len(chunk) - len(examples)
            bar.update(len(chunk))
    if progress:
        print(f"{written} examples ({skipped} galaxies could not be used) in "
              f"{time.time() - start:.0f} s -> {path}")
    return written, skipped


@contextlib.contextmanager
def _worker_processes(processes: int, make_example: MakeExample) -> Iterator[ProcessPoolExecutor]:
    """Forked processes, which inherit the builder, so that its sources are read only once.

    After an exception in the context, each of them ends when its present example is complete.
    """
    stop = mmap.mmap(-1, 1)  # shared with the workers
    with ProcessPoolExecutor(processes, multiprocessing.get_context("fork"), _begin,
                             (make_example, stop)) as pool:
        try:
            pool.submit(os.getpid).result()  # the first task starts all processes
            yield pool
        except BaseException as err:
            stop[0] = 1
            pool.shutdown(cancel_futures=True)
            if isinstance(err, BrokenProcessPool):
                raise galsim.GalSimError(
                    "A process that makes examples was killed, probably because the memory was "
                    f"not sufficient. There were {processes} processes. Build the data set with "
                    "fewer (--processes), or on a machine with more memory.") from err
            raise


def _in_order(workers: ProcessPoolExecutor, count: int,
              ahead: int) -> Iterator[list[Example | None]]:
    """Chunks of examples in the order of their numbers, made by all workers, at most ``ahead`` of
    them in advance."""
    waiting: deque[Future[list[Example | None]]] = deque()
    for first in range(0, count, CHUNK):
        if len(waiting) == ahead:
            yield waiting.popleft().result()
        waiting.append(workers.submit(_examples, range(first, min(first + CHUNK, count))))
    while waiting:
        yield waiting.popleft().result()


# ---- in a worker process --------------------------------------------------------------------

_make_example: MakeExample | None = None
_stop: mmap.mmap | None = None


def _begin(make_example: MakeExample, stop: mmap.mmap) -> None:
    """Prepare a worker process."""
    global _make_example, _stop
    _make_example, _stop = make_example, stop
    # A terminal sends an interrupt to all processes.  The main process tells the workers to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_main_process, daemon=True).start()
    # One thread per process: OpenMP hangs in a forked process if GalSim used threads before.
    galsim.utilities.set_omp_threads(1)


def _end_with_the_main_process() -> None:
    """Otherwise a worker would wait for ever after the main process has been killed."""
    main_process = multiprocessing.parent_process()
    assert main_process is not None
    main_process.join()
    os._exit(1)


def _examples(numbers: range) -> list[Example | None]:
    assert _make_example is not None and _stop is not None
    try:
        # After a stop, nobody reads the examples.
        return [_make_example(number) for number in numbers if not _stop[0]]
    except Exception as err:
        if _can_be_sent(err):
            raise
        problem = f"An example could not be made: {type(err).__name__}: {err}"
    # The main process would take the worker for killed.  Raised here, so that the error has no
    # context: some libraries make pickle send that too.
    raise galsim.GalSimError(problem)


def _can_be_sent(err: Exception) -> bool:
    """Whether an exception can be sent to another process."""
    try:
        pickle.loads(pickle.dumps(err))
    except Exception:
        return False
    return True
