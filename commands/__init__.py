"""One file per command. A new command is a new file with one `@command`, its wording, and its test."""
