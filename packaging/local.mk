# What distributors need: man pages, systemd unit.
EXTRA_DIST += packaging/perch.service
