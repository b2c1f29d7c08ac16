"""What runs the graphs of a module: LiteRT or TensorFlow, behind one interface."""

__all__ = ["LiteRTRunner", "Runner", "TensorFlowRunner"]

from .base import Runner
from .litert import LiteRTRunner
from .tensorflow import TensorFlowRunner
