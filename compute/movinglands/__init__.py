"""Moving Lands, the torch half: from a network's training to a sequence of loss surfaces.

Importing this package is cheap: torch is loaded by the modules that compute, not here, so that a
sequence file can be read and written where torch is not installed.
"""

__version__ = "0.1.0"
