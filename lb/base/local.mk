libperch_a_SOURCES += \
	lb/base/address.c lb/base/address.h \
	lb/base/clock.h \
	lb/base/error.c lb/base/error.h \
	lb/base/hash.c lb/base/hash.h \
	lb/base/list.h \
	lb/base/log.c lb/base/log.h \
	lb/base/memory.c lb/base/memory.h \
	lb/base/outlet.c lb/base/outlet.h \
	lb/base/pool.c lb/base/pool.h \
	lb/base/prefetch.h \
	lb/base/printable.c lb/base/printable.h \
	lb/base/secret.c lb/base/secret.h \
	lb/base/siphash.c lb/base/siphash.h \
	lb/base/slice.h \
	lb/base/table.c lb/base/table.h \
	lb/base/url.c lb/base/url.h
