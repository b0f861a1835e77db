"""``python -m conformance`` is the console script ``conformance``."""

from conformance.cli import main

main()
