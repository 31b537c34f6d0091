"""`python -m gridscribe`."""

from gridscribe.cli import main

main()
