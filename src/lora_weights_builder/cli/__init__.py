"""The command line ``lwb``: one file a command, each a thin shell over the rooms below.

What does not belong here: anything a program would want to call. Commands parse options, call one room, and print.
Heavy imports (SQLAlchemy, numpy, the server) stand inside the functions, so that ``lwb --help`` answers at once.
"""
