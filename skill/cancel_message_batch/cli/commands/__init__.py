"""One module for each command, named as the command is. ``cli.registry`` lists and loads them."""
