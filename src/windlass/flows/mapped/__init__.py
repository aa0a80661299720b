"""Computes columns of a mapped table after the source was read: by Python functions, or by SQL on
the target. Copying and comparing compute them in the same way."""
