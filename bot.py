"""Launcher: `python bot.py VERB`. Everything lives in the package `bot`; see `bot/__init__.py` for the map."""

from bot.cli import main

if __name__ == "__main__":
    main()
