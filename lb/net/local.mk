libperch_a_SOURCES += \
	lb/net/buffer.h \
	lb/net/conn.c lb/net/conn.h \
	lb/net/listener.c lb/net/listener.h \
	lb/net/pipe.c lb/net/pipe.h \
	lb/net/timeouts.c lb/net/timeouts.h \
	lb/net/transport.c lb/net/transport.h \
	lb/net/worker.c lb/net/worker.h
