"""The classes that run the graphs of a module, in LiteRT or TensorFlow, with one interface."""

__all__ = ["LiteRTRunner", "Runner", "TensorFlowRunner"]

from .base import Runner
from .litert import LiteRTRunner
from .tensorflow import TensorFlowRunner
