libperch_a_SOURCES += \
	lb/admin/api.c lb/admin/api.h \
	lb/admin/api_error.c lb/admin/api_words.c lb/admin/api_private.h \
	lb/admin/backoff.c lb/admin/backoff.h \
	lb/admin/bind.c lb/admin/bind.h \
	lb/admin/events.c lb/admin/events.h \
	lb/admin/exposition.c lb/admin/exposition.h \
	lb/admin/metrics.c lb/admin/metrics.h \
	lb/admin/percent.c lb/admin/percent.h \
	lb/admin/plan_json.c lb/admin/plan_json.h \
	lb/admin/sentence.c lb/admin/sentence.h \
	lb/admin/server.c lb/admin/server.h \
	lb/admin/service_json.c lb/admin/service_json.h \
	lb/admin/stats.c lb/admin/stats.h \
	lb/admin/text.c lb/admin/text.h \
	lb/admin/tls_client.c lb/admin/tls_client.h \
	lb/admin/unit_json.c lb/admin/unit_json.h \
	lb/admin/view.c lb/admin/view.h \
	lb/admin/webhook.c lb/admin/webhook.h
