"""The classes that run the graphs of a module, in LiteRT or TensorFlow, with one interface."""
