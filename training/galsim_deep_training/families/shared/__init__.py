"""Parts of several model families: autoencoders, their phase, imputation of columns."""
