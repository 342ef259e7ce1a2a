"""Every sentence that is said to a person or a model, as pure functions.

``states`` (of one batch), ``failures`` (after an error), ``results`` (saved results), ``programs`` (guard, run and the
record), ``facts`` (how ids, sizes and ages are written).
"""
