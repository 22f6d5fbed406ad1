# What distributors need: man pages, systemd unit.
EXTRA_DIST += packaging/perch.service
dist_man_MANS += packaging/man/perch.8 packaging/man/perch.yaml.5 \
	packaging/man/perchctl.8

# The pages that are made from the table of keys are committed; a unit test
# says when they are stale, and this makes them anew in the source tree.
EXTRA_DIST += \
	README.md ARCHITECTURE.md CONTRIBUTING.md CHANGELOG.md \
	docs/reference.md docs/reference.md.in docs/releases.md packaging/man/perch.yaml.5.in

docs: perch
	./perch --print-reference man >reference.tmp
	sed -e '/^@REFERENCE@$$/{r reference.tmp' -e 'd;}' \
		$(srcdir)/packaging/man/perch.yaml.5.in >page.tmp
	mv page.tmp $(srcdir)/packaging/man/perch.yaml.5
	./perch --print-reference markdown >reference.tmp
	sed -e '/^@REFERENCE@$$/{r reference.tmp' -e 'd;}' \
		$(srcdir)/docs/reference.md.in >page.tmp
	mv page.tmp $(srcdir)/docs/reference.md
	rm -f reference.tmp
.PHONY: docs
