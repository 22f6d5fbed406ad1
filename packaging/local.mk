# What distributors need: man pages, systemd unit.
EXTRA_DIST += packaging/perch.service
dist_man_MANS += packaging/man/perchctl.8
