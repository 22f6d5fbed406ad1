libperch_a_SOURCES +=
