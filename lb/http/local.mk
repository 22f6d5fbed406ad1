libperch_a_SOURCES += \
	lb/http/authority.c lb/http/authority.h \
	lb/http/chars.c lb/http/chars.h \
	lb/http/cookie.c lb/http/cookie.h \
	lb/http/cors.c lb/http/cors.h \
	lb/http/field.c lb/http/field.h \
	lb/http/h1_body.c lb/http/h1_body.h \
	lb/http/h1_frame.c lb/http/h1_frame.h \
	lb/http/h1_framing.c lb/http/h1_framing.h \
	lb/http/h1_line.c lb/http/h1_line.h \
	lb/http/h1_parse.c lb/http/h1_parse.h \
	lb/http/h1_target.c lb/http/h1_target.h \
	lb/http/h1_write.c lb/http/h1_write.h \
	lb/http/message.c lb/http/message.h
