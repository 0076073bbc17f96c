"""One file for each kind of host: its configuration, and how it is started."""
