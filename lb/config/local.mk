libperch_a_SOURCES += \
	lb/config/check.c lb/config/check.h \
	lb/config/check_release.c lb/config/check_release.h \
	lb/config/config.c lb/config/config.h \
	lb/config/expand.c lb/config/expand.h \
	lb/config/json_schema.c \
	lb/config/reader.c lb/config/reader.h \
	lb/config/reference.c \
	lb/config/report.c lb/config/report.h \
	lb/config/schema.c lb/config/schema.h \
	lb/config/suggest.c lb/config/suggest.h \
	lb/config/value.c lb/config/value.h \
	lb/config/words.c lb/config/words.h \
	lb/config/yaml.c lb/config/yaml.h

EXTRA_DIST += conf/minimal.yaml conf/perch.yaml
