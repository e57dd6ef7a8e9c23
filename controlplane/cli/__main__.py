"""Runs `signalbox` as `python -m controlplane.cli`, for whoever knows the interpreter and not the script's folder."""

from controlplane.cli.main import main

main(prog_name="signalbox")
