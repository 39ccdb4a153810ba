"""`python -m ecoml`."""

from ecoml.cli import main

if __name__ == "__main__":
    main()
