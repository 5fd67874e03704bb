"""`python -m nephoscope`: the command."""

from nephoscope.cli import main

main()
