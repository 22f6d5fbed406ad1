sbin_PROGRAMS += perchctl
perchctl_SOURCES = \
	lb/ctl/client.c lb/ctl/client.h \
	lb/ctl/perchctl.c \
	lb/ctl/print.c lb/ctl/print.h
perchctl_LDADD = $(PERCH_LIBS)
