# What keeps the tree in order; none of it is part of a build.
EXTRA_DIST += \
	quickstart runtests \
	demo/build.py demo/serve demo/server.mjs demo/versions.json \
	demo/src/app.js demo/src/details.js demo/src/index.html \
	demo/src/style.css \
	tools/check_keys.py tools/check_layers.py tools/coverage.py \
	tools/coverage_exceptions.txt \
	tools/packages.sh \
	.clang-format .clang-tidy .editorconfig

FORMAT_FILES = find $(srcdir)/lb $(srcdir)/tests $(srcdir)/bench \
	-name '*.[ch]' -print0

check-layers:
	$(srcdir)/tools/check_layers.py $(srcdir)

# To see, not to stop at: versions of clang-format differ.
check-format:
	@if command -v clang-format >/dev/null; then \
		$(FORMAT_FILES) | xargs -0 clang-format --dry-run 2>&1 | \
			grep -F '[-Wclang-format' | cut -d: -f1 | sort | \
			uniq -c; \
	else \
		echo 'check-format: no clang-format here'; \
	fi

format:
	$(FORMAT_FILES) | xargs -0 clang-format -i

lint:
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 \
		--enable=warning,portability --suppress=missingInclude \
		--suppress=pointerOutOfBoundsCond \
		--suppress='preprocessorErrorDirective:*/schema.c' \
		-D_GNU_SOURCE '-Djson_array_foreach(a,i,v)=for (;;)' \
		'-Djson_object_foreach(o,k,v)=for (;;)' \
		-I$(srcdir)/lb $(srcdir)/lb $(srcdir)/bench
	clang-tidy --quiet --warnings-as-errors='*' \
		$$(find $(srcdir)/lb -name '*.c') -- \
		-std=gnu11 -I. $(AM_CPPFLAGS) -D_GNU_SOURCE

coverage:
	$(srcdir)/tools/coverage.py $(srcdir)

fuzz:
	$(srcdir)/runtests --fuzz

.PHONY: check-layers check-format format lint coverage fuzz
