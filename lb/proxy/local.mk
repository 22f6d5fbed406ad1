libperch_a_SOURCES += \
	lb/proxy/maglev.c lb/proxy/maglev.h \
	lb/proxy/route_path.c lb/proxy/route_path.h \
	lb/proxy/sequence.c lb/proxy/sequence.h \
	lb/proxy/sticky.c lb/proxy/sticky.h
