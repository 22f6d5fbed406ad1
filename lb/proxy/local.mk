libperch_a_SOURCES += \
	lb/proxy/access_log.c lb/proxy/access_log.h \
	lb/proxy/bad_answer.c lb/proxy/bad_answer.h \
	lb/proxy/balance.c lb/proxy/balance.h \
	lb/proxy/bindings.c lb/proxy/bindings.h \
	lb/proxy/choose.c lb/proxy/choose.h \
	lb/proxy/client.c lb/proxy/client.h \
	lb/proxy/client_private.h \
	lb/proxy/client_request.c \
	lb/proxy/client_stream.c \
	lb/proxy/control.c lb/proxy/control.h \
	lb/proxy/error_answer.c lb/proxy/error_answer.h \
	lb/proxy/eviction.c lb/proxy/eviction.h \
	lb/proxy/exchange.c lb/proxy/exchange.h \
	lb/proxy/exchange_pipe.c \
	lb/proxy/exchange_private.h \
	lb/proxy/exchange_request.c \
	lb/proxy/exchange_rescue.c \
	lb/proxy/exchange_response.c \
	lb/proxy/forward.c lb/proxy/forward.h \
	lb/proxy/forward_request.c \
	lb/proxy/forward_response.c \
	lb/proxy/health.c lb/proxy/health.h \
	lb/proxy/identity.c lb/proxy/identity.h \
	lb/proxy/judge.c lb/proxy/judge.h \
	lb/proxy/judge_json.c lb/proxy/judge_json.h \
	lb/proxy/judge_private.h \
	lb/proxy/judge_restart.c lb/proxy/judge_setup.c lb/proxy/judge_words.c \
	lb/proxy/key.c lb/proxy/key.h \
	lb/proxy/maglev.c lb/proxy/maglev.h \
	lb/proxy/measure.c lb/proxy/measure.h \
	lb/proxy/patience.c lb/proxy/patience.h \
	lb/proxy/privileges.c lb/proxy/privileges.h \
	lb/proxy/probe.c lb/proxy/probe.h \
	lb/proxy/registry.c lb/proxy/registry.h \
	lb/proxy/releases.c lb/proxy/releases.h \
	lb/proxy/releases_adopt.c \
	lb/proxy/releases_private.h lb/proxy/releases_words.c \
	lb/proxy/rescue.c lb/proxy/rescue.h \
	lb/proxy/rescue_budget.c lb/proxy/rescue_budget.h \
	lb/proxy/rescue_memory.c lb/proxy/rescue_memory.h \
	lb/proxy/resolver.c lb/proxy/resolver.h \
	lb/proxy/retry.c lb/proxy/retry.h \
	lb/proxy/route.c lb/proxy/route.h \
	lb/proxy/route_path.c lb/proxy/route_path.h \
	lb/proxy/disguise.c lb/proxy/disguise.h \
	lb/proxy/sequence.c lb/proxy/sequence.h \
	lb/proxy/settings.c lb/proxy/settings.h \
	lb/proxy/set_cookie.c lb/proxy/set_cookie.h \
	lb/proxy/shard.c lb/proxy/shard.h \
	lb/proxy/shared_address.c lb/proxy/shared_address.h \
	lb/proxy/shield.c lb/proxy/shield.h \
	lb/proxy/snapshot.c lb/proxy/snapshot.h \
	lb/proxy/sticky.c lb/proxy/sticky.h \
	lb/proxy/tunnel.c lb/proxy/tunnel.h \
	lb/proxy/witness.c lb/proxy/witness.h \
	lb/proxy/upstream.c lb/proxy/upstream.h \
	lb/proxy/upstream_pool.c lb/proxy/upstream_pool.h \
	lb/proxy/upstream_private.h \
	lb/proxy/upstream_receive.c \
	lb/proxy/upstream_rest.c
