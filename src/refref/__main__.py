"""`python -m refref`: the command line."""

from refref.cli import main

if __name__ == "__main__":
    main()
