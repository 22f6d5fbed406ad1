libperch_a_SOURCES += \
	lb/release/crowd.c lb/release/crowd.h \
	lb/release/crowd_control.c lb/release/crowd_marks.h \
	lb/release/evidence.c lb/release/evidence.h \
	lb/release/evidence_factor.c lb/release/evidence_factor.h \
	lb/release/evidence_mixture.c lb/release/evidence_mixture.h \
	lb/release/evidence_words.c \
	lb/release/histogram.c lb/release/histogram.h \
	lb/release/meter.c lb/release/meter.h \
	lb/release/plan.c lb/release/plan.h \
	lb/release/release.c lb/release/release.h \
	lb/release/state_file.c lb/release/state_file.h
