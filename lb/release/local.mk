libperch_a_SOURCES += \
	lb/release/histogram.c lb/release/histogram.h \
	lb/release/journal.c lb/release/journal.h \
	lb/release/journal_file.c lb/release/journal_file.h \
	lb/release/journal_load.c lb/release/journal_load.h \
	lb/release/journal_store.c lb/release/journal_store.h \
	lb/release/meter.c lb/release/meter.h \
	lb/release/release.c lb/release/release.h \
	lb/release/state_file.c lb/release/state_file.h
