sbin_PROGRAMS += perchctl
perchctl_SOURCES = \
	lb/ctl/client.c lb/ctl/client.h \
	lb/ctl/help.c lb/ctl/help.h \
	lb/ctl/options.c lb/ctl/options.h \
	lb/ctl/perchctl.c \
	lb/ctl/print.c lb/ctl/print.h lb/ctl/print_release.c \
	lb/ctl/screen.c lb/ctl/screen.h \
	lb/ctl/sheet.c lb/ctl/sheet.h \
	lb/ctl/show.c lb/ctl/show.h \
	lb/ctl/talk.c lb/ctl/talk.h \
	lb/ctl/words.c lb/ctl/words.h
perchctl_LDADD = $(PERCH_LIBS)
