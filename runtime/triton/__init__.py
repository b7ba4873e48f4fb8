"""Triton Inference Server: model repositories, and the model that its Python backend runs.

`write` makes a repository of files that an export wrote. It needs the extra "serve", whose tritonclient knows
the fields of a configuration; a server that runs `backend` needs none of it.
"""
