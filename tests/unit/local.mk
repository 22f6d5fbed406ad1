# A unit test is a cmocka program of its own over libperch.a. To add one:
# name it in unit_tests and say its source.
unit_tests =

if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif

UNIT_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
UNIT_LDADD = $(PERCH_LIBS) $(CMOCKA_LIBS)
