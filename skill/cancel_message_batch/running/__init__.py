"""Running a command so that no batch it creates is forgotten: the proxy it talks through, and the command itself."""
