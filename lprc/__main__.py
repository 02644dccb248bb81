"""``python -m lprc`` is the command line."""

from lprc.cli import main

main()
