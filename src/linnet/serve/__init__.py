"""A finished model behind HTTP: ``linnet serve``.

A request goes through these modules: ``wire`` (its connection, with time limits), ``guard`` (who
may ask), ``app`` (where it goes), ``plain``, ``v2`` or ``mlflow`` (what it means, and the form
of the answer), ``inputs`` (rows and pictures), ``work`` (where it is computed, and for how long).
"""
