sbin_PROGRAMS += perchctl
perchctl_SOURCES = lb/ctl/perchctl.c
perchctl_LDADD = $(PERCH_LIBS)
