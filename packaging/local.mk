# What distributors need: man pages, systemd unit.
