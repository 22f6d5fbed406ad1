# The daemon is main.c and libperch.a; the folders are its layers, top first.
noinst_LIBRARIES += libperch.a
libperch_a_SOURCES =

include lb/base/local.mk
include lb/config/local.mk
include lb/net/local.mk
include lb/http/local.mk
include lb/release/local.mk
include lb/proxy/local.mk
include lb/admin/local.mk
include lb/ctl/local.mk

PERCH_LIBS = libperch.a $(LIBEVENT_LIBS) $(OPENSSL_LIBS) $(YAML_LIBS) \
	$(XXHASH_LIBS) $(JANSSON_LIBS) -lm

sbin_PROGRAMS += perch
perch_SOURCES = lb/main.c
perch_LDADD = $(PERCH_LIBS)
