"""What several model families share: autoencoders, their phase, imputation of columns."""
