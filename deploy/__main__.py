"""`python -m deploy` is `diarchy`: how the supervisor starts role processes, whatever is on the PATH."""

from deploy.cli import main

main()
