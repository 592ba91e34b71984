"""``python -m aligner``: the program `aligner`, where its script is not on the path."""

from aligner.cli import main

if __name__ == "__main__":
    main(prog_name="aligner")
