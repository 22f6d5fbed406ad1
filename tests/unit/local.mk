# A unit test is a cmocka program of its own over libperch.a. To add one:
# name it in unit_tests and say its source.
unit_tests =

if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif

# What a key of perch.yaml still lacks; it asks the compiler what is used.
TESTS += tests/unit/keys.sh
EXTRA_DIST += tests/unit/keys.sh
AM_TESTS_ENVIRONMENT = CC='$(CC)'; export CC; \
	KEYS_CPPFLAGS='$(keys_cppflags)'; export KEYS_CPPFLAGS;
keys_cppflags = $(LIBEVENT_CFLAGS) $(OPENSSL_CFLAGS) $(YAML_CFLAGS) \
	$(XXHASH_CFLAGS) $(JANSSON_CFLAGS) $(CPPFLAGS)

unit_cppflags = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
unit_libs = $(PERCH_LIBS) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_crowd
tests_unit_test_crowd_SOURCES = tests/unit/test_crowd.c \
	tests/unit/crowd_world.h
tests_unit_test_crowd_CPPFLAGS = $(unit_cppflags)
tests_unit_test_crowd_LDADD = $(unit_libs)

unit_tests += tests/unit/test_crowd_samples
tests_unit_test_crowd_samples_SOURCES = tests/unit/test_crowd_samples.c \
	tests/unit/crowd_world.h
tests_unit_test_crowd_samples_CPPFLAGS = $(unit_cppflags)
tests_unit_test_crowd_samples_LDADD = $(unit_libs)

unit_tests += tests/unit/test_evidence
tests_unit_test_evidence_SOURCES = tests/unit/test_evidence.c
tests_unit_test_evidence_CPPFLAGS = $(unit_cppflags)
tests_unit_test_evidence_LDADD = $(unit_libs)

unit_tests += tests/unit/test_evidence_factor
tests_unit_test_evidence_factor_SOURCES = tests/unit/test_evidence_factor.c
tests_unit_test_evidence_factor_CPPFLAGS = $(unit_cppflags)
tests_unit_test_evidence_factor_LDADD = $(unit_libs)

unit_tests += tests/unit/test_histogram
tests_unit_test_histogram_SOURCES = tests/unit/test_histogram.c
tests_unit_test_histogram_CPPFLAGS = $(unit_cppflags)
tests_unit_test_histogram_LDADD = $(unit_libs)

unit_tests += tests/unit/test_health
tests_unit_test_health_SOURCES = tests/unit/test_health.c \
	tests/unit/admin_world.h
tests_unit_test_health_CPPFLAGS = $(unit_cppflags)
tests_unit_test_health_LDADD = $(unit_libs)

unit_tests += tests/unit/test_journal
tests_unit_test_journal_SOURCES = tests/unit/test_journal.c \
	tests/unit/journal_folder.h
tests_unit_test_journal_CPPFLAGS = $(unit_cppflags)
tests_unit_test_journal_LDADD = $(unit_libs)
tests_unit_test_journal_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fsync

# The calls that a test makes fail, or end the program.
journal_disk_ldflags = $(AM_LDFLAGS) \
	-Wl,--wrap=pwrite,--wrap=fsync,--wrap=ftruncate \
	-Wl,--wrap=renameat,--wrap=linkat,--wrap=unlinkat

unit_tests += tests/unit/test_journal_faults
tests_unit_test_journal_faults_SOURCES = tests/unit/test_journal_faults.c \
	tests/unit/journal_disk.h tests/unit/journal_folder.h
tests_unit_test_journal_faults_CPPFLAGS = $(unit_cppflags)
tests_unit_test_journal_faults_LDADD = $(unit_libs)
tests_unit_test_journal_faults_LDFLAGS = $(journal_disk_ldflags)

unit_tests += tests/unit/test_journal_file
tests_unit_test_journal_file_SOURCES = tests/unit/test_journal_file.c \
	tests/unit/journal_disk.h tests/unit/journal_folder.h
tests_unit_test_journal_file_CPPFLAGS = $(unit_cppflags)
tests_unit_test_journal_file_LDADD = $(unit_libs)
tests_unit_test_journal_file_LDFLAGS = $(journal_disk_ldflags)

unit_tests += tests/unit/test_journal_store
tests_unit_test_journal_store_SOURCES = tests/unit/test_journal_store.c \
	tests/unit/journal_folder.h
tests_unit_test_journal_store_CPPFLAGS = $(unit_cppflags)
tests_unit_test_journal_store_LDADD = $(unit_libs)

unit_tests += tests/unit/test_maglev
tests_unit_test_maglev_SOURCES = tests/unit/test_maglev.c
tests_unit_test_maglev_CPPFLAGS = $(unit_cppflags)
tests_unit_test_maglev_LDADD = $(unit_libs)

unit_tests += tests/unit/test_meter
tests_unit_test_meter_SOURCES = tests/unit/test_meter.c
tests_unit_test_meter_CPPFLAGS = $(unit_cppflags)
tests_unit_test_meter_LDADD = $(unit_libs)

unit_tests += tests/unit/test_plan
tests_unit_test_plan_SOURCES = tests/unit/test_plan.c \
	tests/unit/plan_world.h
tests_unit_test_plan_CPPFLAGS = $(unit_cppflags)
tests_unit_test_plan_LDADD = $(unit_libs)

unit_tests += tests/unit/test_plan_words
tests_unit_test_plan_words_SOURCES = tests/unit/test_plan_words.c \
	tests/unit/plan_world.h
tests_unit_test_plan_words_CPPFLAGS = $(unit_cppflags)
tests_unit_test_plan_words_LDADD = $(unit_libs)

unit_tests += tests/unit/test_release
tests_unit_test_release_SOURCES = tests/unit/test_release.c
tests_unit_test_release_CPPFLAGS = $(unit_cppflags)
tests_unit_test_release_LDADD = $(unit_libs)

unit_tests += tests/unit/test_release_group
tests_unit_test_release_group_SOURCES = tests/unit/test_release_group.c
tests_unit_test_release_group_CPPFLAGS = $(unit_cppflags)
tests_unit_test_release_group_LDADD = $(unit_libs)

unit_tests += tests/unit/test_route_path
tests_unit_test_route_path_SOURCES = tests/unit/test_route_path.c
tests_unit_test_route_path_CPPFLAGS = $(unit_cppflags)
tests_unit_test_route_path_LDADD = $(unit_libs)

unit_tests += tests/unit/test_sequence
tests_unit_test_sequence_SOURCES = tests/unit/test_sequence.c
tests_unit_test_sequence_CPPFLAGS = $(unit_cppflags)
tests_unit_test_sequence_LDADD = $(unit_libs)


unit_tests += tests/unit/test_sticky
tests_unit_test_sticky_SOURCES = tests/unit/test_sticky.c
tests_unit_test_sticky_CPPFLAGS = $(unit_cppflags)
tests_unit_test_sticky_LDADD = $(unit_libs)

unit_tests += tests/unit/test_address
tests_unit_test_address_SOURCES = tests/unit/test_address.c
tests_unit_test_address_CPPFLAGS = $(unit_cppflags)
tests_unit_test_address_LDADD = $(unit_libs)

unit_tests += tests/unit/test_config
tests_unit_test_config_SOURCES = tests/unit/test_config.c \
	tests/unit/config_parse.h
tests_unit_test_config_CPPFLAGS = $(unit_cppflags)
tests_unit_test_config_LDADD = $(unit_libs)

unit_tests += tests/unit/test_config_release
tests_unit_test_config_release_SOURCES = tests/unit/test_config_release.c \
	tests/unit/config_parse.h
tests_unit_test_config_release_CPPFLAGS = $(unit_cppflags)
tests_unit_test_config_release_LDADD = $(unit_libs)

unit_tests += tests/unit/test_config_errors
tests_unit_test_config_errors_SOURCES = tests/unit/test_config_errors.c \
	tests/unit/config_parse.h
tests_unit_test_config_errors_CPPFLAGS = $(unit_cppflags)
tests_unit_test_config_errors_LDADD = $(unit_libs)

unit_tests += tests/unit/test_schema
tests_unit_test_schema_SOURCES = tests/unit/test_schema.c \
	tests/unit/config_parse.h
tests_unit_test_schema_CPPFLAGS = $(unit_cppflags) \
	-DCONF_DIR='"$(srcdir)/conf"'
tests_unit_test_schema_LDADD = $(unit_libs)
tests_unit_test_schema_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=getpwnam

unit_tests += tests/unit/test_log
tests_unit_test_log_SOURCES = tests/unit/test_log.c
tests_unit_test_log_CPPFLAGS = $(unit_cppflags)
tests_unit_test_log_LDADD = $(unit_libs)

unit_tests += tests/unit/test_outlet
tests_unit_test_outlet_SOURCES = tests/unit/test_outlet.c
tests_unit_test_outlet_CPPFLAGS = $(unit_cppflags)
tests_unit_test_outlet_LDADD = $(unit_libs)

unit_tests += tests/unit/test_printable
tests_unit_test_printable_SOURCES = tests/unit/test_printable.c
tests_unit_test_printable_CPPFLAGS = $(unit_cppflags)
tests_unit_test_printable_LDADD = $(unit_libs)

unit_tests += tests/unit/test_table
tests_unit_test_table_SOURCES = tests/unit/test_table.c
tests_unit_test_table_CPPFLAGS = $(unit_cppflags)
tests_unit_test_table_LDADD = $(unit_libs)

unit_tests += tests/unit/test_h1_body
tests_unit_test_h1_body_SOURCES = tests/unit/test_h1_body.c tests/unit/exact.h
tests_unit_test_h1_body_CPPFLAGS = $(unit_cppflags)
tests_unit_test_h1_body_LDADD = $(unit_libs)

unit_tests += tests/unit/test_h1_framing
tests_unit_test_h1_framing_SOURCES = tests/unit/test_h1_framing.c \
	tests/unit/exact.h tests/unit/head.h
tests_unit_test_h1_framing_CPPFLAGS = $(unit_cppflags)
tests_unit_test_h1_framing_LDADD = $(unit_libs)

unit_tests += tests/unit/test_h1_parse
tests_unit_test_h1_parse_SOURCES = tests/unit/test_h1_parse.c \
	tests/unit/exact.h tests/unit/head.h
tests_unit_test_h1_parse_CPPFLAGS = $(unit_cppflags)
tests_unit_test_h1_parse_LDADD = $(unit_libs)

unit_tests += tests/unit/test_field
tests_unit_test_field_SOURCES = tests/unit/test_field.c tests/unit/exact.h
tests_unit_test_field_CPPFLAGS = $(unit_cppflags)
tests_unit_test_field_LDADD = $(unit_libs)

unit_tests += tests/unit/test_cookie
tests_unit_test_cookie_SOURCES = tests/unit/test_cookie.c tests/unit/exact.h
tests_unit_test_cookie_CPPFLAGS = $(unit_cppflags)
tests_unit_test_cookie_LDADD = $(unit_libs)

unit_tests += tests/unit/test_metrics
tests_unit_test_metrics_SOURCES = tests/unit/test_metrics.c \
	tests/unit/admin_world.h
tests_unit_test_metrics_CPPFLAGS = $(unit_cppflags)
tests_unit_test_metrics_LDADD = $(unit_libs)

unit_tests += tests/unit/test_percent
tests_unit_test_percent_SOURCES = tests/unit/test_percent.c
tests_unit_test_percent_CPPFLAGS = $(unit_cppflags)
tests_unit_test_percent_LDADD = $(unit_libs)

unit_tests += tests/unit/test_stats
tests_unit_test_stats_SOURCES = tests/unit/test_stats.c \
	tests/unit/admin_world.h
tests_unit_test_stats_CPPFLAGS = $(unit_cppflags)
tests_unit_test_stats_LDADD = $(unit_libs)

unit_tests += tests/unit/test_reference
tests_unit_test_reference_SOURCES = tests/unit/test_reference.c
tests_unit_test_reference_CPPFLAGS = $(unit_cppflags) \
	-DSOURCE_DIR='"$(srcdir)"'
tests_unit_test_reference_LDADD = $(unit_libs)

unit_tests += tests/unit/test_access_log
tests_unit_test_access_log_SOURCES = tests/unit/test_access_log.c
tests_unit_test_access_log_CPPFLAGS = $(unit_cppflags)
tests_unit_test_access_log_LDADD = $(unit_libs)

unit_tests += tests/unit/test_conn
tests_unit_test_conn_SOURCES = tests/unit/test_conn.c
tests_unit_test_conn_CPPFLAGS = $(unit_cppflags)
tests_unit_test_conn_LDADD = $(unit_libs)

unit_tests += tests/unit/test_forward
tests_unit_test_forward_SOURCES = tests/unit/test_forward.c \
	tests/unit/exact.h tests/unit/head.h
tests_unit_test_forward_CPPFLAGS = $(unit_cppflags)
tests_unit_test_forward_LDADD = $(unit_libs)

unit_tests += tests/unit/test_forward_client
tests_unit_test_forward_client_SOURCES = tests/unit/test_forward_client.c \
	tests/unit/exact.h tests/unit/head.h
tests_unit_test_forward_client_CPPFLAGS = $(unit_cppflags)
tests_unit_test_forward_client_LDADD = $(unit_libs)

unit_tests += tests/unit/test_forward_response
tests_unit_test_forward_response_SOURCES = tests/unit/test_forward_response.c \
	tests/unit/exact.h tests/unit/head.h
tests_unit_test_forward_response_CPPFLAGS = $(unit_cppflags)
tests_unit_test_forward_response_LDADD = $(unit_libs)

unit_tests += tests/unit/test_h1_frame
tests_unit_test_h1_frame_SOURCES = tests/unit/test_h1_frame.c
tests_unit_test_h1_frame_CPPFLAGS = $(unit_cppflags)
tests_unit_test_h1_frame_LDADD = $(unit_libs)

unit_tests += tests/unit/test_retry
tests_unit_test_retry_SOURCES = tests/unit/test_retry.c
tests_unit_test_retry_CPPFLAGS = $(unit_cppflags)
tests_unit_test_retry_LDADD = $(unit_libs)

unit_tests += tests/unit/test_route
tests_unit_test_route_SOURCES = tests/unit/test_route.c tests/unit/exact.h
tests_unit_test_route_CPPFLAGS = $(unit_cppflags)
tests_unit_test_route_LDADD = $(unit_libs)

unit_tests += tests/unit/test_settings
tests_unit_test_settings_SOURCES = \
	tests/unit/test_settings.c tests/unit/config_parse.h
tests_unit_test_settings_CPPFLAGS = $(unit_cppflags)
tests_unit_test_settings_LDADD = $(unit_libs)

unit_tests += tests/unit/test_cors
tests_unit_test_cors_SOURCES = tests/unit/test_cors.c
tests_unit_test_cors_CPPFLAGS = $(unit_cppflags)
tests_unit_test_cors_LDADD = $(unit_libs)

unit_tests += tests/unit/test_rescue_budget
tests_unit_test_rescue_budget_SOURCES = tests/unit/test_rescue_budget.c
tests_unit_test_rescue_budget_CPPFLAGS = $(unit_cppflags)
tests_unit_test_rescue_budget_LDADD = $(unit_libs)

unit_tests += tests/unit/test_rescue_memory
tests_unit_test_rescue_memory_SOURCES = tests/unit/test_rescue_memory.c
tests_unit_test_rescue_memory_CPPFLAGS = $(unit_cppflags)
tests_unit_test_rescue_memory_LDADD = $(unit_libs)

unit_tests += tests/unit/test_patience
tests_unit_test_patience_SOURCES = tests/unit/test_patience.c
tests_unit_test_patience_CPPFLAGS = $(unit_cppflags)
tests_unit_test_patience_LDADD = $(unit_libs)

unit_tests += tests/unit/test_shield
tests_unit_test_shield_SOURCES = tests/unit/test_shield.c
tests_unit_test_shield_CPPFLAGS = $(unit_cppflags)
tests_unit_test_shield_LDADD = $(unit_libs)

unit_tests += tests/unit/test_timeouts
tests_unit_test_timeouts_SOURCES = tests/unit/test_timeouts.c
tests_unit_test_timeouts_CPPFLAGS = $(unit_cppflags)
tests_unit_test_timeouts_LDADD = $(unit_libs)

unit_tests += tests/unit/test_near_misses
tests_unit_test_near_misses_SOURCES = tests/unit/test_near_misses.c \
	tests/unit/exact.h
tests_unit_test_near_misses_CPPFLAGS = $(unit_cppflags)
tests_unit_test_near_misses_LDADD = $(unit_libs)

unit_tests += tests/unit/test_url
tests_unit_test_url_SOURCES = tests/unit/test_url.c
tests_unit_test_url_CPPFLAGS = $(unit_cppflags)
tests_unit_test_url_LDADD = $(unit_libs)

unit_tests += tests/unit/test_backoff
tests_unit_test_backoff_SOURCES = tests/unit/test_backoff.c
tests_unit_test_backoff_CPPFLAGS = $(unit_cppflags)
tests_unit_test_backoff_LDADD = $(unit_libs)

unit_tests += tests/unit/test_sentence
tests_unit_test_sentence_SOURCES = tests/unit/test_sentence.c
tests_unit_test_sentence_CPPFLAGS = $(unit_cppflags)
tests_unit_test_sentence_LDADD = $(unit_libs)

unit_tests += tests/unit/test_webhook
tests_unit_test_webhook_SOURCES = tests/unit/test_webhook.c
tests_unit_test_webhook_CPPFLAGS = $(unit_cppflags)
tests_unit_test_webhook_LDADD = $(unit_libs)

unit_tests += tests/unit/test_parser_edges
tests_unit_test_parser_edges_SOURCES = tests/unit/test_parser_edges.c \
	tests/unit/exact.h tests/unit/head.h
tests_unit_test_parser_edges_CPPFLAGS = $(unit_cppflags)
tests_unit_test_parser_edges_LDADD = $(unit_libs)

unit_tests += tests/unit/test_net_failing
tests_unit_test_net_failing_SOURCES = tests/unit/test_net_failing.c
tests_unit_test_net_failing_CPPFLAGS = $(unit_cppflags)
tests_unit_test_net_failing_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc,--wrap=calloc -Wl,--wrap=event_add
tests_unit_test_net_failing_LDADD = $(unit_libs)

unit_tests += tests/unit/test_choose
tests_unit_test_choose_SOURCES = tests/unit/test_choose.c \
	tests/unit/admin_world.h tests/unit/exact.h tests/unit/head.h
tests_unit_test_choose_CPPFLAGS = $(unit_cppflags)
tests_unit_test_choose_LDADD = $(unit_libs)

unit_tests += tests/unit/test_secret
tests_unit_test_secret_SOURCES = tests/unit/test_secret.c
tests_unit_test_secret_CPPFLAGS = $(unit_cppflags)
tests_unit_test_secret_LDADD = $(unit_libs)

unit_tests += tests/unit/test_shared_address
tests_unit_test_shared_address_SOURCES = tests/unit/test_shared_address.c
tests_unit_test_shared_address_CPPFLAGS = $(unit_cppflags)
tests_unit_test_shared_address_LDADD = $(unit_libs)
