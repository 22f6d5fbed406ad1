libperch_a_SOURCES += \
	lb/release/crowd.c lb/release/crowd.h \
	lb/release/crowd_control.c lb/release/crowd_marks.h \
	lb/release/evidence.c lb/release/evidence.h \
	lb/release/evidence_factor.c lb/release/evidence_factor.h \
	lb/release/evidence_mixture.c lb/release/evidence_mixture.h \
	lb/release/evidence_words.c \
	lb/release/histogram.c lb/release/histogram.h \
	lb/release/journal.c lb/release/journal.h \
	lb/release/journal_file.c lb/release/journal_file.h \
	lb/release/journal_load.c lb/release/journal_load.h \
	lb/release/journal_store.c lb/release/journal_store.h \
	lb/release/meter.c lb/release/meter.h \
	lb/release/plan.c lb/release/plan.h \
	lb/release/release.c lb/release/release.h \
	lb/release/release_adopt.c \
	lb/release/release_change.c lb/release/release_change.h \
	lb/release/release_state.c lb/release/release_state.h
